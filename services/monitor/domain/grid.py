"""The cells in which values of one number are counted: fixed once, so that any two windows add up cell by cell.

INNER cells lie over [low, high), TAIL more on each side. Inner cells are of equal width, in the value itself or, where
`pivot` is set, in `bent`: linear near the pivot, logarithmic far from it. The tails' first cells are as wide as inner
ones; then PER_OCTAVE cells to each doubling of the distance, so that a cell is at most a quarter as wide as it is far.
The outermost cells are open. All of it is found by multiplication and by reading a double's exponent and first bits.
Source of the log-linear cells: Masson, Rim and Lee, DDSketch, PVLDB 12(12), 2019, section 2.3 (linear interpolation).
"""

# pyright: reportUnknownMemberType=false

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

INNER = 256
TAIL = 64
CELLS = TAIL + INNER + TAIL
PER_OCTAVE = 4
_FIRST_WIDTH = 4.0
LARGEST = 1e308
"""No edge of a cell lies farther out."""

_BIAS = 1023 * PER_OCTAVE
_SHIFT = 52 - 2


@dataclass(frozen=True)
class Grid:
    """Where the cells of one column lie. `pivot` None: equal cells; else bent around it, linear within `unit` of it."""

    low: float
    high: float
    pivot: float | None = None
    unit: float = 1.0

    @cached_property
    def scale(self) -> float:
        """Inner cells, were they equal, per unit of the value."""
        return INNER / (self.high - self.low)

    @cached_property
    def bend(self) -> tuple[float, float]:
        """(where the inner cells begin in bent values, inner cells per unit of bent value) of a grid with a pivot."""
        pivot = 0.0 if self.pivot is None else self.pivot
        low, high = bent(np.array([self.low, self.high]), pivot, self.unit)
        return float(low), INNER / float(high - low)

    def positions(self, values: Floats) -> Floats:
        """How many inner cells each finite value lies above `low`; below 0 and from INNER on it lies in a tail."""
        with np.errstate(over="ignore"):
            if self.pivot is None:
                return (values - self.low) * self.scale
            low, scale = self.bend
            return (bent(values, self.pivot, self.unit) - low) * scale

    def cells(self, values: Floats) -> Ints:
        """The cell of each finite value, 0 to CELLS - 1."""
        return cells_of(self.positions(values))

    @cached_property
    def edges(self) -> Floats:
        """[CELLS + 1] values between the cells, ascending; the first and last are infinite."""
        octave = np.arange(TAIL) // PER_OCTAVE
        starts = (2.0**octave * (1 + np.arange(TAIL) % PER_OCTAVE / PER_OCTAVE) - 1) * _FIRST_WIDTH
        inner: Floats = np.arange(1, INNER, dtype=np.float64)
        positions = np.concatenate([-starts[::-1], inner, INNER + starts])
        return np.concatenate([[-np.inf], self._values(positions), [np.inf]])

    def _values(self, positions: Floats) -> Floats:
        if self.pivot is None:
            return self.low + positions / self.scale
        low, scale = self.bend
        return unbent(low + positions / scale, self.pivot, self.unit)


OPEN = Grid(-(2.0**24), 2.0**24, 0.0, 2.0**-8)
"""For numbers of which nothing is known: four cells to each doubling beyond 1/256, up to 16 million, and tails."""

UNIT_INTERVAL = Grid(0.0, 1.0)
"""For outputs, which mostly are probabilities; others fall into the tails."""


def cells_of(positions: Floats) -> Ints:
    """The cell of each position."""
    inner = np.clip(positions, 0.0, INNER - 1.0).astype(np.int64) + TAIL
    below, above = positions < 0, positions >= INNER
    if below.any():
        inner[below] = TAIL - 1 - _tail(-positions[below])
    if above.any():
        inner[above] = TAIL + INNER + _tail(positions[above] - INNER)
    return inner


def _tail(distances: Floats) -> Ints:
    reached = np.minimum(distances, LARGEST) / _FIRST_WIDTH + 1
    return np.minimum((reached.view(np.int64) >> _SHIFT) - _BIAS, TAIL - 1)


def bent(values: Floats, pivot: Any, unit: Any) -> Floats:
    """About sign(v - pivot) * log2(1 + |v - pivot| / unit): the logarithm between powers of two drawn straight."""
    with np.errstate(over="ignore"):
        away = values - pivot
        reached = np.minimum(np.abs(away) / unit, LARGEST) + 1.0
    straight = reached.view(np.int64) * 2.0**-52
    straight -= 1023.0
    return np.copysign(straight, away, out=straight)


def unbent(values: Floats, pivot: float, unit: float) -> Floats:
    """What `bent` makes these values of."""
    octave, rest = np.divmod(np.abs(values), 1.0)
    with np.errstate(over="ignore"):
        reached = np.ldexp(1.0 + rest, octave.astype(np.int64)) - 1.0
        return pivot + np.copysign(np.minimum(reached * unit, LARGEST), values)
