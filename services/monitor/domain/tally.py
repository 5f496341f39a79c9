"""Many numbers into cells and sums, block by block, so that a block stays in the processor's cache."""

# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain.bins import FeatureBins
from services.monitor.domain.grid import CELLS, INNER, TAIL, Floats, Grid, Ints, cells_of
from services.monitor.domain.sketch import Numbers
from services.monitor.domain.sums import NEAR, far_sums, near_sums

BLOCK = 2_048
"""Rows of a block; at most sums.BLOCK."""

_SLOTS = INNER + 1
_HUGE = 1e308


@dataclass(frozen=True)
class Columns:
    """Where the cells of some numeric columns lie, as arrays beside each other."""

    names: tuple[str, ...]
    grids: tuple[Grid, ...]
    low: Floats
    scale: Floats
    least: Floats
    most: Floats
    curved: tuple[int, ...]

    @classmethod
    def of(cls, names: Sequence[str], bins: Sequence[FeatureBins]) -> "Columns":
        """Columns and how each is counted."""
        grids = tuple(one.grid for one in bins)
        return cls(
            tuple(names),
            grids,
            np.array([one.low for one in grids])[:, None],
            np.array([one.scale for one in grids])[:, None],
            np.array([one.least for one in bins]),
            np.array([one.most for one in bins]),
            tuple(place for place, one in enumerate(grids) if one.pivot is not None),
        )


class Tally:
    """What blocks of values of some columns add up to."""

    def __init__(self, columns: Columns, rows: int = BLOCK) -> None:
        """`rows`: the most of a block."""
        count = len(columns.names)
        self.columns = columns
        self.missing = np.zeros(count, np.int64)
        self.outside = np.zeros(count, np.int64)
        self.cells = np.zeros((count, CELLS), np.int64)
        self.low, self.high = np.full(count, np.inf), np.full(count, -np.inf)
        self.sums: list[list[int]] = [[0, 0] for _ in range(count)]
        self._near = np.zeros((count, 2), np.int64)
        self._offsets = (np.arange(count) * _SLOTS)[:, None]
        self._scratch = np.empty((2, count, rows))
        self._away: list[tuple[Ints, Floats]] = []

    def add(self, values: Floats) -> NDArray[np.bool_] | None:
        """Count a block [columns, up to `rows`]. NaN and infinite values are missing and become the grid's low.

        Returns which values are missing; None where none is.
        """
        low, high = values.min(axis=1), values.max(axis=1)
        absent = None
        with np.errstate(invalid="ignore", over="ignore"):
            if not np.isfinite(low + high).all():
                absent = ~np.isfinite(values)
                low, high = self._fill(values, absent)
            positions, scratch = self._scratch[0][:, : values.shape[1]], self._scratch[1][:, : values.shape[1]]
            np.subtract(values, self.columns.low, out=positions)
            positions *= self.columns.scale
        self._range(values, low, high, absent)
        far = self._far(positions, low, high)
        near = np.where(far, 0.0, positions) if far is not None else positions
        first, second = near_sums(near, scratch)
        self._near[:, 0] += first
        self._near[:, 1] += second
        self._count(values, low, positions, scratch)
        return absent

    def numbers(self) -> Numbers:
        """All blocks together."""
        sums: Any = np.empty((len(self.sums), 2), object)
        for place, (first, second) in enumerate(self._near.tolist()):
            sums[place] = [self.sums[place][0] + first, self.sums[place][1] + second]
        cells = self.cells + self._tails()
        return Numbers(self.columns.names, self.missing, self.outside, cells, self.low, self.high, sums)

    def _fill(self, values: Floats, absent: NDArray[np.bool_]) -> tuple[Floats, Floats]:
        count = absent.sum(axis=1)
        self.missing += count
        self.cells[np.arange(len(count)), TAIL] -= count  # where the grid's low will be counted
        low = np.where(absent, np.inf, values).min(axis=1)
        high = np.where(absent, -np.inf, values).max(axis=1)
        np.copyto(values, self.columns.low, where=absent)
        return low, high

    def _range(self, values: Floats, low: Floats, high: Floats, absent: NDArray[np.bool_] | None) -> None:
        np.minimum(self.low, low, out=self.low)
        np.maximum(self.high, high, out=self.high)
        if (low < self.columns.least).any() or (high > self.columns.most).any():
            beyond = (values < self.columns.least[:, None]) | (values > self.columns.most[:, None])
            if absent is not None:
                beyond &= ~absent
            self.outside += np.count_nonzero(beyond, axis=1)

    def _far(self, positions: Floats, low: Floats, high: Floats) -> NDArray[np.bool_] | None:
        """Which positions are too far for near sums; theirs are added here."""
        with np.errstate(invalid="ignore", over="ignore"):
            start, scale = self.columns.low[:, 0], self.columns.scale[:, 0]
            wide = np.flatnonzero(((low - start) * scale < -NEAR) | ((high - start) * scale > NEAR))
        if not len(wide):
            return None
        far = np.zeros(positions.shape, np.bool_)
        for place in wide:
            far[place] = np.abs(positions[place]) > NEAR
            first, second = far_sums(np.clip(positions[place][far[place]], -_HUGE, _HUGE))
            self.sums[place][0] += first
            self.sums[place][1] += second
        return far

    def _count(self, values: Floats, low: Floats, positions: Floats, scratch: Floats) -> None:
        for place in self.columns.curved:
            positions[place] = self.columns.grids[place].positions(values[place])
        np.clip(positions, 0.0, INNER, out=scratch)
        slots = scratch.astype(np.int64)
        slots += self._offsets
        counts = np.bincount(slots.ravel(), minlength=len(positions) * _SLOTS).reshape(-1, _SLOTS)
        self.cells[:, TAIL : TAIL + INNER] += counts[:, :-1]
        if counts[:, -1].any() or (low < self.columns.low[:, 0]).any():
            away = np.flatnonzero((positions < 0) | (positions >= INNER))
            column, row = np.divmod(away, positions.shape[1])
            found = positions[column, row]
            self._away.append((column, found))
            self.cells[:, TAIL] -= np.bincount(column[found < 0], minlength=len(positions))

    def _tails(self) -> Ints:
        """The cells of all that lay outside the inner ones."""
        if not self._away:
            return np.zeros_like(self.cells)
        column = np.concatenate([one for one, _ in self._away])
        cells = cells_of(np.concatenate([one for _, one in self._away]))
        return np.bincount(column * CELLS + cells, minlength=self.cells.size).reshape(self.cells.shape)
