"""Faults of rows, gathered so that a caller sees several at once, each with its place."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from shared.runtime.problems import Problem

MAX_FAULTS = 10


@dataclass(slots=True)
class Faults:
    """Up to MAX_FAULTS faults of one body; `full` says that looking further is idle."""

    found: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def full(self) -> bool:
        return len(self.found) >= MAX_FAULTS

    def add(self, pointer: str, detail: str) -> None:
        """`pointer`: a JSON pointer into the body, or `column/row` of a table."""
        if not self.full:
            self.found.append({"pointer": pointer, "detail": detail})

    def check(self) -> None:
        """Raise Problem 422 `invalid-rows` if there is any fault."""
        if self.found:
            first = self.found[0]
            detail = f"{first['pointer']}: {first['detail']}"
            raise Problem(
                422, "invalid-rows", detail, "Nothing was taken; correct it and send it again.", errors=self.found
            )


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
