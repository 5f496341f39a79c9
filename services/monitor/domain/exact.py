"""Sums of doubles without rounding: the same whatever the order and the parts, and a term taken back leaves nothing.

A sum is a whole number of units of 2**-1126, in which every finite double is whole (the smallest is 2**-1074, of which
`frexp` makes a mantissa of 53 bits). Idea: Kulisch, Computer Arithmetic and Validity (2013), ch. 8, the exact
accumulator; here Python's own integers carry it, and only about as many bits as the terms' exponents span are kept.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

ONE = 1 << 1126
"""One, in units of a sum."""

_LOW = 26
_MASK = (1 << _LOW) - 1


@dataclass(frozen=True, slots=True)
class Terms:
    """Finite values times their weights, taken apart: `(high * 2**26 + low) * 2**(least + place - 53)` each, with
    `place` from 0 to `span` - 1. At most 2**26 of them."""

    place: NDArray[np.int64]
    high: NDArray[np.float64]
    low: NDArray[np.float64]
    least: int
    span: int


def terms(values: NDArray[np.float64], weights: NDArray[np.int64]) -> Terms:
    """Finite `values`, each `weights` times (1 or -1), ready to be added up."""
    mantissa, exponent = np.frexp(values)
    whole = np.ldexp(mantissa, 53).astype(np.int64) * weights
    least, most = int(exponent.min(initial=1_025)), int(exponent.max(initial=-1_074))
    place = exponent.astype(np.int64) - least
    return Terms(place, (whole >> _LOW).astype(np.float64), (whole & _MASK).astype(np.float64), least, most - least + 1)


def totals(parts: Terms, groups: NDArray[np.int64], size: int) -> list[int]:
    """The exact sum of the terms of each group, 0 to `size` - 1."""
    found = [0] * size
    if not len(parts.place):
        return found
    places = groups * parts.span + parts.place
    # both halves' sums stay below 2**53, so that the doubles of bincount hold them exactly
    high, low = np.bincount(places, parts.high), np.bincount(places, parts.low)
    for place in np.flatnonzero((high != 0) | (low != 0)).tolist():
        group, power = divmod(place, parts.span)
        found[group] += ((int(high[place]) << _LOW) + int(low[place])) << (power + parts.least - 53 + 1126)
    return found


def total(values: NDArray[np.float64], weights: NDArray[np.int64]) -> int:
    """The exact sum of all."""
    return totals(terms(values, weights), np.zeros(len(values), np.int64), 1)[0]


def mean(sum_: int, count: int) -> float:
    """The sum divided by a count, rounded once."""
    return sum_ / (ONE * count)


def fraction(sum_: int) -> Fraction:
    """The sum as an exact number."""
    return Fraction(sum_, ONE)


def variance(sum_: int, squares: int, count: int) -> float:
    """The sample variance (divided by n - 1) of `count` >= 2 values, from their sum and that of their squares.

    No cancellation: the only error is that of each square, which was rounded when it was taken.
    """
    spread = fraction(squares) - fraction(sum_) ** 2 / count
    return max(0.0, float(spread / (count - 1)))


def packed(sum_: int) -> str:
    """A sum as text: an odd hexadecimal number and the power of two that it stands for."""
    if not sum_:
        return "0"
    zeros = (sum_ & -sum_).bit_length() - 1
    return f"{sum_ >> zeros:x}:{zeros}"


def unpacked(text: str) -> int:
    """The sum that `packed` wrote."""
    digits, _, zeros = text.partition(":")
    return int(digits, 16) << int(zeros or 0)
