"""What is known of the truth of one batch of predictions, and what a newly told outcome changes in it."""

from dataclasses import dataclass

import numpy as np

from services.monitor.domain.sketch import Floats, Ints


@dataclass(frozen=True, slots=True)
class Truth:
    """Per row of a batch: the outcome (NaN: none yet), when it came true and when it was told (microseconds)."""

    values: Floats
    at: Ints
    told: Ints


@dataclass(frozen=True, slots=True)
class Joins:
    """Outcomes that met their predictions: a correction is a row of weight -1 and one of weight 1."""

    rows: Ints
    values: Floats
    at: Ints
    weights: Ints


def untold(rows: int) -> Truth:
    """A batch of which nothing is known yet."""
    return Truth(np.full(rows, np.nan), np.zeros(rows, np.int64), np.zeros(rows, np.int64))


def tell(truth: Truth, rows: Ints, values: Floats, at: Ints, told: Ints) -> tuple[Truth, Joins]:
    """The truth after these outcomes of the rows named, and the joins that follow.

    What was told last holds, whatever the order in which it arrives here; of what was told at the same microsecond the
    last of these rows, and between two calls the greater value, so that no order can change the end.
    """
    rows, values, at, told = _last(rows, values, at, told)
    old, before = truth.values[rows], truth.told[rows]
    wins = np.isnan(old) | (told > before) | ((told == before) & (values > old))
    rows, values, at, told, old = rows[wins], values[wins], at[wins], told[wins], old[wins]
    new = Truth(truth.values.copy(), truth.at.copy(), truth.told.copy())
    new.values[rows], new.at[rows], new.told[rows] = values, at, told
    changed = old != values
    taken = changed & ~np.isnan(old)
    joins = Joins(
        np.concatenate([rows[taken], rows[changed]]),
        np.concatenate([old[taken], values[changed]]),
        np.concatenate([truth.at[rows[taken]], at[changed]]),
        np.concatenate([np.full(int(taken.sum()), -1, np.int64), np.ones(int(changed.sum()), np.int64)]),
    )
    return new, joins


def encode(truth: Truth) -> bytes:
    """The truth as bytes: values, at and told one after another, eight bytes each, little-endian."""
    return truth.values.astype("<f8").tobytes() + truth.at.astype("<i8").tobytes() + truth.told.astype("<i8").tobytes()


def decode(data: bytes) -> Truth:
    """The truth that `encode` wrote."""
    rows = len(data) // 24
    values = np.frombuffer(data, "<f8", rows).astype(np.float64)
    numbers = np.frombuffer(data, "<i8", 2 * rows, 8 * rows).astype(np.int64)
    return Truth(values, numbers[:rows], numbers[rows:])


def _last(rows: Ints, values: Floats, at: Ints, told: Ints) -> tuple[Ints, Floats, Ints, Ints]:
    """One outcome per row: the one told last, the later in order among equals."""
    order = np.lexsort((np.arange(len(rows)), told, rows))
    ends = np.append(rows[order][1:] != rows[order][:-1], True)
    kept = order[ends]
    return rows[kept], values[kept], at[kept], told[kept]
