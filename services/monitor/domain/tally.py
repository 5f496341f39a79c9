"""Many numbers into cells and sums, block by block, so that a block stays in the processor's cache."""

# pyright: reportUnknownMemberType=false

import threading
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain import native
from services.monitor.domain.bins import FeatureBins
from services.monitor.domain.grid import CELLS, INNER, TAIL, Floats, Grid, Ints, cells_of
from services.monitor.domain.parts import Doubles
from services.monitor.domain.sketch import Numbers
from services.monitor.domain.sums import BLOCK, NEAR, far_sums, near_sums

VALUES = 40960
"""Values of a block: with what is made of them they fit into the processor's cache."""

_LAST = float(np.nextafter(INNER, 0))
_HUGE = 1e308
_SUMMED = 256
"""Blocks whose sums are added in 64 bits."""


@dataclass(frozen=True)
class Columns:
    """Where the cells of some numeric columns lie, as arrays beside each other; `low_block`, `scale_block` and
    `offsets` for each value of a block of `rows`."""

    names: tuple[str, ...]
    grids: tuple[Grid, ...]
    rows: int
    low: Floats
    scale: Floats
    least: Floats
    most: Floats
    curved: tuple[int, ...]
    roomy: tuple[int, ...]
    low_block: Floats
    scale_block: Floats
    offsets: NDArray[np.int32]


@lru_cache(maxsize=32)
def columns_of(names: tuple[str, ...], bins: tuple[FeatureBins, ...]) -> Columns:
    """Columns and how each is counted."""
    grids = tuple(one.grid for one in bins)
    count = len(names)
    rows = min(max(VALUES // max(count, 1), 16), BLOCK)
    low, scale = np.array([one.low for one in grids]), np.array([one.scale for one in grids])
    return Columns(
        names,
        grids,
        rows,
        low,
        scale,
        np.array([one.least for one in bins]),
        np.array([one.most for one in bins]),
        tuple(place for place, one in enumerate(grids) if one.pivot is not None),
        tuple(place for place, one in enumerate(bins) if one.least > one.grid.low or one.most < one.grid.high),
        np.repeat(low[:, None], rows, axis=1),
        np.repeat(scale[:, None], rows, axis=1),
        np.repeat(np.arange(count, dtype=np.int32)[:, None] * np.int32(INNER), rows, axis=1),
    )


class _Scratch(threading.local):
    """Memory for one block, kept for the next call of the thread: to get it anew costs as much as to fill it."""

    def __init__(self) -> None:
        self.shape = (0, 0)

    def of(self, shape: tuple[int, int]) -> tuple[Floats, Floats, NDArray[np.int32], NDArray[np.bool_]]:
        """Of this shape: positions, what is made of them, slots, and a mask."""
        if self.shape != shape:
            self.shape = shape
            self.floats = np.empty((2, *shape))
            self.slots, self.mask = np.empty(shape, np.int32), np.empty(shape, np.bool_)
        return self.floats[0], self.floats[1], self.slots, self.mask


_scratch = _Scratch()


class Tally:
    """What blocks of values of some columns add up to. Every step is one call for all columns of a block."""

    def __init__(self, columns: Columns) -> None:
        count = len(columns.names)
        self.columns = columns
        self.missing = np.zeros(count, np.int64)
        self._outside = np.zeros(count, np.int64)
        self._inner = np.zeros(count * INNER, np.int64)
        self._far: list[list[int]] = [[0, 0] for _ in range(count)]
        self._near: list[tuple[Ints, Ints]] = []
        self._ends: list[Floats] = []
        self._column_ends = np.stack([np.full(count, np.inf), np.full(count, -np.inf)])
        self._stood_in = np.zeros(count, np.int64)
        self._away: list[tuple[Ints, Floats, Floats]] = []
        self._positions, self._made, self._slots, self._mask = _scratch.of((count, columns.rows))

    def add(self, values: Floats) -> tuple[Floats, NDArray[np.bool_] | None]:
        """Count a block of values [columns, up to `rows` of the columns]. NaN and infinite values are missing.

        Returns the values, with the grid's low where they are missing, and which those are; None where none is.
        """
        rows = values.shape[1]
        positions, made = self._positions[:, :rows], self._made[:, :rows]
        ends = np.empty((2, len(values)))
        values.min(axis=1, out=ends[0])
        values.max(axis=1, out=ends[1])
        absent = None
        if not np.isfinite(ends).all():
            values, absent = self._filled(values, ends)
        self._ends.append(ends)
        np.subtract(values, self.columns.low_block[:, :rows], out=positions)
        positions *= self.columns.scale_block[:, :rows]
        self._count(values, positions, made)
        self._near.append(near_sums(positions, made))
        if self.columns.roomy:
            self._inside(values, ends, absent)
        return values, absent

    def add_column(
        self,
        compiled: native.Kernel,
        place: int,
        doubles: Doubles,
        hashes: NDArray[np.uint64],
        factors: tuple[int, int] | None,
    ) -> None:
        """Count all values of one column by the compiled pass, and add to each row's hash what they say. `factors`:
        what values are multiplied by, and what missing ones give; None: the column has no part in the hashes."""
        low, scale = float(self.columns.low[place]), float(self.columns.scale[place])
        bent = self.columns.grids[place].pivot is not None
        inner = self._inner[place * INNER : (place + 1) * INNER]
        ends, sums, away = np.array([np.inf, -np.inf]), np.zeros(3, np.int64), np.empty(len(hashes))
        factor, absence = (np.uint64(one) for one in factors or (0, 0))
        given = (low, scale, bent, factors is not None, factor, absence, hashes, inner, ends, sums, away)
        count = compiled.tally(doubles.addresses, doubles.rows, *given)
        self._column_ends[:, place] = ends
        for which in (0, 1):
            self._far[place][which] += int(sums[which])
        self.missing[place] += sums[2]
        if count:
            found = away[:count].copy()
            positions = (found - low) * scale
            column = np.full(count, place)
            self._add_far(column, positions, np.abs(positions) > NEAR)
            if not bent:
                below = np.count_nonzero(positions < 0)
                inner[0] += below  # `_tails` takes them from there
                inner[-1] += count - below
                self._away.append((column, positions, found))
        roomy = place in self.columns.roomy and (
            ends[0] < self.columns.least[place] or ends[1] > self.columns.most[place]
        )
        if bent or roomy:
            values = doubles.values()
            if bent:
                self._count_bent(place, values[np.isfinite(values)])
            if roomy:
                self._inside_of(place, values, ends[0], ends[1], None)

    def _count_bent(self, place: int, values: Floats) -> None:
        positions = self.columns.grids[place].positions(values)
        slots = np.clip(positions, 0.0, _LAST)
        inner = self._inner[place * INNER : (place + 1) * INNER]
        inner += np.bincount(slots.astype(np.int64), minlength=INNER)
        away = slots != positions
        self._away.append((np.full(np.count_nonzero(away), place), positions[away], values[away]))

    def words(self, columns: int, rows: int) -> NDArray[np.uint64]:
        """Memory for a word of 64 bits for each value of some columns, until the next block."""
        return self._made[:columns, :rows].view(np.uint64)

    def numbers(self) -> Numbers:
        """All blocks together."""
        count = len(self._far)
        sums: Any = np.empty((count, 2), object)
        for place, (first, second) in enumerate(self._far):
            sums[place] = [first, second]
        for start in range(0, len(self._near), _SUMMED):
            sums += np.sum(self._near[start : start + _SUMMED], axis=0).T.astype(object)
        cells, outside = self._tails()
        cells[:, TAIL : TAIL + INNER] += self._inner.reshape(count, INNER)
        cells[:, TAIL] -= self._stood_in
        ends = (
            np.array([*self._ends, self._column_ends]) + 0.0
        )  # of -0 and 0 either may be the least: one of them is kept
        low, high = ends[:, 0].min(axis=0), ends[:, 1].max(axis=0)
        return Numbers(self.columns.names, self.missing, self._outside + outside, cells, low, high, sums)

    def _filled(self, values: Floats, ends: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        absent = ~np.isfinite(values)
        count = absent.sum(axis=1)
        self.missing += count
        self._stood_in += count  # the grid's low is counted in their place
        np.where(absent, np.inf, values).min(axis=1, out=ends[0])
        np.where(absent, -np.inf, values).max(axis=1, out=ends[1])
        return np.where(absent, self.columns.low[:, None], values), absent

    def _count(self, values: Floats, positions: Floats, made: Floats) -> None:
        """Count inner cells; what lies outside is set apart for `_tails`, and counted in the outermost for now."""
        rows = positions.shape[1]
        slots, mask = self._slots[:, :rows], self._mask[:, :rows]
        np.clip(positions, 0.0, _LAST, out=made)
        np.not_equal(made, positions, out=mask)
        curved: dict[int, Floats] = {}
        for place in self.columns.curved:
            curved[place] = self.columns.grids[place].positions(values[place])
            np.clip(curved[place], 0.0, _LAST, out=made[place])
            np.not_equal(made[place], curved[place], out=mask[place])
        np.copyto(slots, made, casting="unsafe")
        slots += self.columns.offsets[:, :rows]
        self._inner += np.bincount(slots.ravel(), minlength=len(self._inner))
        if mask.any():
            self._set_apart(values, positions, curved)

    def _set_apart(self, values: Floats, positions: Floats, curved: dict[int, Floats]) -> None:
        """Keep what lies outside for `_tails`; of it, what is too far for near sums is added here and then zero."""
        column, row = np.divmod(self._mask[:, : positions.shape[1]].ravel().nonzero()[0], positions.shape[1])
        found = positions[column, row]
        far = np.abs(found) > NEAR
        self._add_far(column, found, far)
        positions[column[far], row[far]] = 0.0
        for place, moved in curved.items():
            chosen = column == place
            found[chosen] = moved[row[chosen]]
        self._away.append((column, found, values[column, row]))

    def _add_far(self, column: Ints, positions: Floats, far: NDArray[np.bool_]) -> None:
        if not far.any():
            return
        for place in np.unique(column[far]).tolist():
            first, second = far_sums(np.clip(positions[far & (column == place)], -_HUGE, _HUGE))
            self._far[place][0] += first
            self._far[place][1] += second

    def _tails(self) -> tuple[Ints, Ints]:
        """(cells of all that lay outside the inner ones, less where they were counted; those out of range)."""
        count = len(self.missing)
        if not self._away:
            return np.zeros((count, CELLS), np.int64), np.zeros_like(self.missing)
        column, positions, values = (np.concatenate(parts) for parts in zip(*self._away, strict=True))
        cells = np.bincount(column * CELLS + cells_of(positions), minlength=count * CELLS).reshape(count, CELLS)
        below = positions < 0
        cells[:, TAIL] -= np.bincount(column[below], minlength=count)
        cells[:, TAIL + INNER - 1] -= np.bincount(column[~below], minlength=count)
        beyond = (values < self.columns.least[column]) | (values > self.columns.most[column])
        return cells, np.bincount(column[beyond], minlength=count)

    def _inside(self, values: Floats, ends: Floats, absent: NDArray[np.bool_] | None) -> None:
        """Count what lies in inner cells and yet beyond the reference's range: there are cells to spare where each
        whole number has its own."""
        for place in self.columns.roomy:
            self._inside_of(
                place, values[place], ends[0, place], ends[1, place], None if absent is None else absent[place]
            )

    def _inside_of(self, place: int, values: Floats, low: float, high: float, absent: NDArray[np.bool_] | None) -> None:
        least, most, grid = self.columns.least[place], self.columns.most[place], self.columns.grids[place]
        if low < least or high > most:
            beyond = ((values < least) & (values >= grid.low)) | ((values > most) & (values < grid.high))
            if absent is not None:
                beyond &= ~absent
            self._outside[place] += np.count_nonzero(beyond)
