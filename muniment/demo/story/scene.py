"""What the story knows while it goes on: the clients, the flights, and every answer that the system gave."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import numpy as np

from muniment.client import Client
from muniment.demo.frames import Frame, Series
from muniment.demo.story.cast import Schedule
from muniment.demo.train import Trained


@dataclass(slots=True)
class Played:
    """Per flight, in the order of the table: the prediction's id, who answered, and the score that came back."""

    ids: np.ndarray
    versions: np.ndarray
    scores: np.ndarray

    @classmethod
    def empty(cls, rows: int) -> "Played":
        return cls(np.empty(rows, object), np.zeros(rows, np.int64), np.full(rows, np.nan))


@dataclass(frozen=True, slots=True)
class Flagged:
    """One flag of the expert: which flight, as what, and the flag's id."""

    row: int
    missed: bool
    flag: str


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of the summary with the address that shows it. `expected`: the same, recomputed from the raw data."""

    name: str
    figure: Any
    url: str
    expected: Any = None
    checked: bool = False

    @property
    def holds(self) -> bool:
        return not self.checked or self.figure == self.expected


@dataclass(slots=True)
class Scene:
    """`flights`: those that are played, sorted by `at`. `say` tells what happens, `step` how many flights are done."""

    client: Client
    flights: Frame
    trained: Trained
    schedule: Schedule
    played: Played
    say: Callable[[str], None]
    step: Callable[[int, str], None]
    flags: list[Flagged] = field(default_factory=list[Flagged])
    lines: list[Line] = field(default_factory=list[Line])
    known_then: datetime | None = None
    """The wall-clock moment at which the first reviewed day was predicted and its outcomes not yet told."""

    last_write: str | None = None
    flag_writes: list[str] = field(default_factory=list[str])
    """Events of what was said about flags, each on a stream of its own."""

    objection: str | None = None
    """The flag on a slice that held the promotion back."""

    told: int = 0
    """Outcomes told so far."""
    measured: dict[str, Any] = field(default_factory=dict[str, Any])

    def acting_as(self, actor: str) -> Client:
        return self.client.acting_as(actor)

    def show(self, name: str, figure: Any, path: str) -> None:
        """A figure for the summary."""
        self.lines.append(Line(name, figure, self.client.url(path)))

    def check(self, name: str, figure: Any, expected: Any, path: str) -> None:
        """A figure that must equal what the raw data says."""
        self.lines.append(Line(name, figure, self.client.url(path), expected, checked=True))


def text(moment: datetime) -> str:
    """RFC 3339 in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def texts(moments: Series) -> list[str]:
    """A column of moments as RFC 3339."""
    return [f"{one}Z" for one in np.datetime_as_string(utc(moments))]


def utc(moments: Series) -> np.ndarray:
    """A column of moments as datetime64[us] in UTC; NaT stays."""
    return moments.dt.tz_localize(None).to_numpy("datetime64[us]")
