"""How serving says no."""

from typing import Any

from shared.runtime.problems import Problem


class Unservable(Exception):
    """A model version that cannot answer now; `str(error)` says why. Nothing of it is served."""


def bad_request(code: str, detail: str, fix: str = "", **extra: Any) -> Problem:
    """The request is at fault: 400, as the protocol has it."""
    return Problem(400, code, detail, fix, **extra)
