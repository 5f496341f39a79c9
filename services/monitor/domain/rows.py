"""A sample of a window's rows: the ROWS distinct rows with the lowest hashes, and how often each came.

The hash is of the row's features, so the sample does not depend on the order, the parts or the redelivery; every row
below the highest kept hash is in it, with all its copies. It says how many distinct rows there were and which share of
the rows repeats another. Source: Bar-Yossef et al., Counting Distinct Elements in a Data Stream, RANDOM 2002;
with counts and merging: Beyer et al., On Synopses for Distinct-Value Estimation, SIGMOD 2007.
"""

# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain.grid import Ints

ROWS = 256
COLUMNS = 100
"""Columns of each kind that the sample keeps, the first by name."""

Hashes = NDArray[np.uint64]
Texts = NDArray[np.object_]

_MOST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class Rows:
    """`hashes` [k] ascending, `counts` [k], `values` [k, names] and `texts` [k, text_names]; NaN, None: missing."""

    names: tuple[str, ...]
    text_names: tuple[str, ...]
    hashes: Hashes
    counts: Ints
    values: NDArray[np.float32]
    texts: Texts

    @property
    def full(self) -> bool:
        """Whether rows may have been left out."""
        return len(self.hashes) >= ROWS

    def distinct(self, rows: int) -> int:
        """About how many of so many rows were distinct; exact where none was left out. Standard error 1/sqrt(k - 2)."""
        if not self.full:
            return len(self.hashes)
        return min(round((len(self.hashes) - 1) / ((float(self.hashes[-1]) + 1) / 2.0**64)), rows)

    def repeated(self) -> float:
        """The share of the rows that repeat an earlier one, as far as the sample tells; 0 without rows."""
        total = int(self.counts.sum())
        return 1 - len(self.counts) / total if total else 0.0


def no_rows() -> Rows:
    """No row of no column."""
    return Rows((), (), np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros((0, 0), np.float32), no_texts(0, 0))


def no_texts(rows: int, columns: int) -> Texts:
    """So many rows without texts."""
    texts: Texts = np.full((rows, columns), None, np.object_)
    return texts


def mixed(sums: Hashes) -> Hashes:
    """Hashes whose every bit depends on every bit. Source: SplitMix64 (Steele, Lea and Flood, OOPSLA 2014)."""
    sums ^= sums >> np.uint64(30)
    sums *= np.uint64(0xBF58476D1CE4E5B9)
    sums ^= sums >> np.uint64(27)
    sums *= np.uint64(0x94D049BB133111EB)
    sums ^= sums >> np.uint64(31)
    return sums


def lowest(hashes: Hashes, beside: Rows | None = None) -> tuple[Ints, Hashes, Ints]:
    """(a place of each, the hashes ascending, their counts) of the ROWS lowest distinct hashes of all, without those
    that would not stay beside another sample."""
    full = beside is not None and beside.full
    chosen = np.flatnonzero(hashes <= beside.hashes[-1]) if beside is not None and full else _few(hashes)
    found, places, counts = np.unique(hashes[chosen], return_index=True, return_counts=True)
    return chosen[places[:ROWS]], found[:ROWS], counts[:ROWS].astype(np.int64)


def _few(hashes: Hashes) -> Ints:
    """Places among which the ROWS lowest distinct hashes surely are: hashes are spread evenly, so that few lie below a
    bound; it is raised where too many of those are the same."""
    expected = 4.0 * ROWS / max(len(hashes), 1)
    while expected < 0.5:
        few = np.flatnonzero(hashes <= np.uint64(int(expected * 2.0**64)))
        if len(np.unique(hashes[few])) >= ROWS:
            return few
        expected *= 4.0
    return np.arange(len(hashes))


def single(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Values as the sample keeps them: seven digits, the largest possible where there are larger ones."""
    return np.clip(values, -_MOST, _MOST).astype(np.float32)


def merge_rows(left: Rows, right: Rows) -> Rows:
    """The sample of both windows' rows."""
    if not len(left.hashes):
        return right
    if not len(right.hashes):
        return left
    names = _first({*left.names, *right.names})
    text_names = _first({*left.text_names, *right.text_names})
    hashes = np.concatenate([left.hashes, right.hashes])
    found, places, belongs = np.unique(hashes, return_index=True, return_inverse=True)
    counts = np.zeros(len(found), np.int64)
    np.add.at(counts, belongs, np.concatenate([left.counts, right.counts]))
    places = places[:ROWS]
    values = np.concatenate([_spread(left, names), _spread(right, names)])[places]
    texts = np.concatenate([_texts(left, text_names), _texts(right, text_names)])[places]
    return Rows(names, text_names, found[:ROWS], counts[:ROWS], values, texts)


def _first(names: set[str]) -> tuple[str, ...]:
    return tuple(sorted(names)[:COLUMNS])


def _spread(rows: Rows, names: tuple[str, ...]) -> NDArray[np.float32]:
    if rows.names == names:
        return rows.values
    spread = np.full((len(rows.hashes), len(names)), np.nan, np.float32)
    for place, name in enumerate(rows.names):
        if name in names:
            spread[:, names.index(name)] = rows.values[:, place]
    return spread


def _texts(rows: Rows, names: tuple[str, ...]) -> Texts:
    if rows.text_names == names:
        return rows.texts
    spread = no_texts(len(rows.hashes), len(names))
    for place, name in enumerate(rows.text_names):
        if name in names:
            spread[:, names.index(name)] = rows.texts[:, place]
    return spread


def kept_names(names: Sequence[str]) -> tuple[str, ...]:
    """Of a batch's columns those that the sample keeps."""
    return _first(set(names))
