"""The state of what outputs met: scores of predictions, and the outcomes told of them, as counts and exact sums.

Every number in it adds up and can be taken back (weight -1), so the state is the same, to the bit, for any order and
split of predictions, outcomes and corrections. It is kept for each output as a whole, and for each group of a segment.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

K = TypeVar("K")
Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

SCORE_CELLS = 1_001
NEGATIVE, POSITIVE, PREDICTED = 0, 1, 2
TALLIES = ("predictions", "outcomes", "binary", "classed", "finite", "cases")
SUMS = (
    "brier",
    "brier_squared",
    "log_loss",
    "log_loss_squared",
    "error",
    "absolute",
    "squared",
    "fourth",
    "outcome",
    "outcome_squared",
)
MAX_GROUPS = 50
LARGEST = 1e75
"""Numbers of a greater size take no part in figures: the fourth power of an error would leave the doubles."""


class Part(NamedTuple):
    """Which predictions: all of an output `column`, or those of one `group` by an `attribute`.

    `group` None: all groups together that are beyond the limit.
    """

    column: str
    attribute: str = ""
    group: str | None = ""


def _no_counts() -> dict[int, int]:
    return {}


def _no_pairs() -> dict[tuple[int, int], int]:
    return {}


@dataclass(frozen=True, slots=True)
class Scores:
    """What is counted of one part.

    `tallies` [6]: see TALLIES: predictions; outcomes told of them; those of 0 or 1; those that name a class; those of a
    size up to LARGEST; those of the latter whose prediction has such a number, too. `cells` [3, 1001]: scores in [0, 1]
    by the thousandth they lie in (cell k: k/1000 <= score < (k+1)/1000): of outcomes 0, of outcomes 1, of all
    predictions. `errors`: score minus outcome by cells of 2 % width (`spread`). `pairs`: (predicted class, class that
    came true). `sums`: see SUMS, exact ones (`exact`).
    """

    tallies: Ints = field(default_factory=lambda: np.zeros(len(TALLIES), np.int64))
    cells: Ints = field(default_factory=lambda: np.zeros((3, SCORE_CELLS), np.int64))
    errors: Mapping[int, int] = field(default_factory=_no_counts)
    pairs: Mapping[tuple[int, int], int] = field(default_factory=_no_pairs)
    sums: tuple[int, ...] = (0,) * len(SUMS)

    def tally(self, name: str) -> int:
        """A tally by its name in TALLIES."""
        return int(self.tallies[TALLIES.index(name)])

    def sum(self, name: str) -> int:
        """An exact sum by its name in SUMS."""
        return self.sums[SUMS.index(name)]


@dataclass(frozen=True, slots=True)
class Joined:
    """`outcomes`: how many predictions have one. `limit`: groups that are told apart per attribute."""

    outcomes: int
    parts: Mapping[Part, Scores]
    limit: int = MAX_GROUPS

    @property
    def names(self) -> tuple[str, ...]:
        """The output columns, by name."""
        return tuple(sorted({part.column for part in self.parts}))

    def attributes(self) -> tuple[str, ...]:
        """The attributes that have groups, by name."""
        return tuple(sorted({part.attribute for part in self.parts if part.attribute}))

    def groups(self, column: str, attribute: str) -> list[Part]:
        """The parts of a column by an attribute: its groups by name, those beyond the limit last."""
        found = [part for part in self.parts if part.column == column and part.attribute == attribute]
        return sorted(found, key=lambda part: (part.group is None, part.group or ""))


def no_joined() -> Joined:
    """Nothing counted."""
    return Joined(0, {})


def merge_joined(left: Joined, right: Joined) -> Joined:
    """Both together. Associative and commutative, exactly."""
    limit = min(left.limit, right.limit)
    if not left.parts or not right.parts:
        parts = left.parts or right.parts
    else:
        parts = dict(left.parts)
        for part, more in right.parts.items():
            have = parts.get(part)
            parts[part] = more if have is None else plus(have, more)
    return Joined(left.outcomes + right.outcomes, within(parts, limit), limit)


def plus(left: Scores, right: Scores) -> Scores:
    """Both together."""
    return Scores(
        left.tallies + right.tallies,
        left.cells + right.cells,
        _added(left.errors, right.errors),
        _added(left.pairs, right.pairs),
        tuple(map(int.__add__, left.sums, right.sums)),
    )


def kept_groups(names: Iterable[str], limit: int) -> list[str]:
    """At most `limit` of these names: those of the lowest CRC-32, a choice that no order of merging can change."""
    return sorted(names, key=lambda name: (crc32(name.encode()), name))[:limit]


def within(parts: Mapping[Part, Scores], limit: int) -> Mapping[Part, Scores]:
    """The parts with no more than `limit` groups per attribute; the others are counted as one."""
    if len(parts) <= limit:
        return parts
    names: dict[str, set[str]] = {}
    for part in parts:
        if part.attribute and part.group is not None:
            names.setdefault(part.attribute, set()).add(part.group)
    crowded = {attribute: set(kept_groups(found, limit)) for attribute, found in names.items() if len(found) > limit}
    if not crowded:
        return parts
    limited: dict[Part, Scores] = {}
    for part, scores in parts.items():
        if part.attribute in crowded and part.group not in crowded[part.attribute]:
            part = Part(part.column, part.attribute, None)
        limited[part] = plus(limited[part], scores) if part in limited else scores
    return limited


def _added(left: Mapping[K, int], right: Mapping[K, int]) -> Mapping[K, int]:
    """Counts by key added; what comes to nothing is left out."""
    if not right:
        return left
    if not left:
        return right
    added = dict(left)
    for key, count in right.items():
        added[key] = added.get(key, 0) + count
        if not added[key]:
            del added[key]
    return added
