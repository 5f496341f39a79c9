"""Gates of the story's model: where they are asked, and the rules by which they say no."""

from collections.abc import Callable

from muniment.demo.story import cast
from muniment.errors import ProblemError

STAGE = "production"


def gate(version: int) -> str:
    """The address of a version's gate, without its stage."""
    return f"/v1/models/{cast.MODEL}/versions/{version}/gate"


def shown(version: int) -> str:
    """The address that shows a version's gate to production."""
    return f"{gate(version)}?stage={STAGE}"


def refused(attempt: Callable[[], object], why: str) -> list[str]:
    """Try what a gate forbids and hear no: the rules that did not pass. Raises RuntimeError where it went through
    although `why`."""
    try:
        attempt()
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return [rule["rule"] for rule in problem.document.get("rules", []) if not rule["passed"]]
    raise RuntimeError(f"the gate let it through although {why}")
