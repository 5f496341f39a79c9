"""Faults of rows, gathered so that a caller sees several at once, each with its place."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from shared.runtime.problems import Problem

MAX_FAULTS = 10


class InvalidRows(Problem):
    """Refused for its rows, with what the faults were: `KIND:COLUMN` of each (`domain.schema`), none of them twice."""

    def __init__(self, found: list[dict[str, str]], reasons: tuple[str, ...]) -> None:
        fix = "Nothing was taken; correct it and send it again."
        super().__init__(422, "invalid-rows", f"{found[0]['pointer']}: {found[0]['detail']}", fix, errors=found)
        self.reasons = reasons


@dataclass(slots=True)
class Faults:
    """Up to MAX_FAULTS faults of one body; `full` says that looking further is idle."""

    found: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    reasons: dict[str, None] = field(default_factory=dict[str, None])

    @property
    def full(self) -> bool:
        return len(self.found) >= MAX_FAULTS

    def add(self, pointer: str, detail: str, kind: str, column: str) -> None:
        """`pointer`: a JSON pointer into the body, or `column/row` of a table. `kind`: a word of `domain.schema`;
        `column`: what the log would call it."""
        if not self.full:
            self.found.append({"pointer": pointer, "detail": detail})
            self.reasons[f"{kind}:{column}"] = None

    def check(self) -> None:
        """Raise InvalidRows if there is any fault."""
        if self.found:
            raise InvalidRows(self.found, tuple(self.reasons))


def nearby(name: str, names: Iterable[str]) -> str:
    """A hint at the names that may have been meant."""
    close = get_close_matches(name, list(names), n=3, cutoff=0.4)
    return f"; did you mean {', '.join(close)}?" if close else ""


def check_rows(rows: int, most: int, what: str) -> None:
    """Raise Problem 422 for no row, 413 for more than `most`."""
    if rows == 0:
        raise Problem(422, "no-rows", f"The body holds no {what}.")
    if rows > most:
        raise Problem(
            413, "too-many-rows", f"{rows} {what} in one body; at most {most} are taken.", "Send them in parts."
        )
