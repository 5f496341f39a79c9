"""Sums of doubles that no order of adding can change: each value is rounded to a fixed unit once, then added exactly.

The units are fixed by the grid, not by the window. Within a block of at most BLOCK rows all sums of rounded values are
less than 2^53 units; between blocks they are added as whole numbers without limit. Source of rounding by adding a large
number, and of its use for sums that can be reproduced: Demmel and Nguyen, Parallel Reproducible Summation, IEEE Trans.
Computers 64(7), 2015.
"""

# pyright: reportUnknownMemberType=false

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain.grid import Floats, Ints

BLOCK = 4_096
NEAR = 512.0
"""Positions of at most this size are added in doubles, others as whole numbers, one by one of their exponents."""

FIRST_BITS, SECOND_BITS = 30, 22
"""Sums of positions are kept in units of 2^-30, sums of their squares in units of 2^-22."""

FIRST_MAGIC = 1.5 * 2.0 ** (52 - FIRST_BITS)
SECOND_MAGIC = 1.5 * 2.0 ** (52 - SECOND_BITS)


def near_sums(positions: Floats, scratch: Floats) -> tuple[Ints, Ints]:
    """(sums, sums of squares) of each row of positions [n, up to BLOCK], none over NEAR, in their units.

    Read from the bits of the numbers to which a large one was added: those are the large number's own plus how many
    units each number has. Whole numbers of 64 bits come back from what overflows in between.
    `scratch`: as large as `positions`, overwritten.
    """
    first_base, second_base = _bases(positions.shape[1])
    bits = scratch.view(np.int64)
    np.add(positions, FIRST_MAGIC, out=scratch)
    first = bits.sum(axis=1)
    first -= first_base
    np.multiply(positions, positions, out=scratch)
    scratch += SECOND_MAGIC
    second = bits.sum(axis=1)
    second -= second_base
    return first, second


@lru_cache(maxsize=1_024)
def _bases(rows: int) -> tuple[Ints, Ints]:
    """What the large numbers alone add up to in so many rows, in 64 bits."""
    magics = np.array([FIRST_MAGIC, SECOND_MAGIC]).view(np.uint64).tolist()
    first, second = (np.array([rows * bits & 0xFFFFFFFFFFFFFFFF], np.uint64).view(np.int64) for bits in magics)
    return first, second


def far_sums(positions: Floats) -> tuple[int, int]:
    """(sum, sum of squares) of positions of any finite size, in their units, as exact as those of near ones."""
    parts, exponents = np.frexp(positions)
    squares, more = np.frexp(parts * parts)
    return _whole(parts, exponents + FIRST_BITS), _whole(squares, 2 * exponents + more + SECOND_BITS)


def _whole(parts: Floats, exponents: NDArray[np.int32]) -> int:
    """The sum of parts * 2^exponents, each rounded down to a whole number."""
    total = 0
    digits = (parts * 2.0**53).astype(np.int64)
    shifts = exponents - 53
    for shift in np.unique(shifts):
        chosen = digits[shifts == shift]
        if shift < 0:
            chosen = chosen >> min(-int(shift), 63)
        high, low = int((chosen >> 32).sum()), int((chosen & 0xFFFFFFFF).sum())
        total += ((high << 32) + low) << max(int(shift), 0)
    return total


def mean_and_deviation(count: int, sums: Sequence[int], low: float, scale: float) -> tuple[float, float]:
    """Mean and standard deviation (of all, not of a sample) of `count` > 0 values whose positions add up to `sums`."""
    first, second = sums
    mean = _quotient(first, count << FIRST_BITS)
    spread = count * (second << (2 * FIRST_BITS - SECOND_BITS)) - first * first
    return low + mean / scale, math.sqrt(max(_quotient(spread, (count * count) << (2 * FIRST_BITS)), 0.0)) / scale


def _quotient(part: int, whole: int) -> float:
    try:
        return part / whole
    except OverflowError:
        return math.inf if part > 0 else -math.inf
