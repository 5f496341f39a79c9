"""Cells of 2 % width for numbers of any size, from which quantiles follow to 1 %, whatever the order of the numbers.

Source: Masson, Rim and Lee, DDSketch, VLDB 2019 (doi:10.14778/3352063.3352135): with g = 1.02 the cell of x > 0 is
ceil(log_g x), and 2 g^i / (g + 1) is within (g - 1) / (g + 1) = 0.99 % of every number in cell i. Its cells are counts,
so a number can be taken back, which sketches that sample cannot do.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

GROWTH = 1.02
ACCURACY = (GROWTH - 1) / (GROWTH + 1)
LEAST = 1e-9
"""Numbers of a smaller size count as 0."""

_LOG = math.log(GROWTH)
_SHIFT = 1 - math.ceil(math.log(LEAST) / _LOG)


def places_of(values: NDArray[np.float64]) -> NDArray[np.int64]:
    """The cell of each finite value. The order of cells is the order of values."""
    size = np.abs(values)
    with np.errstate(divide="ignore"):
        place = np.ceil(np.log(size) / _LOG)
    place = np.where(size < LEAST, 0, np.maximum(place + _SHIFT, 1))
    return (np.sign(values) * place).astype(np.int64)


def counted(values: NDArray[np.float64], weights: NDArray[np.int64]) -> dict[int, int]:
    """How many values lie in each cell that is not empty."""
    return counted_by(values, weights, np.zeros(len(values), np.int64), 1)[0]


def counted_by(
    values: NDArray[np.float64], weights: NDArray[np.int64], groups: NDArray[np.int64], size: int
) -> list[dict[int, int]]:
    """The same of the values of each group, 0 to `size` - 1."""
    found: list[dict[int, int]] = [{} for _ in range(size)]
    places = places_of(values)
    cells, inverse = np.unique(np.stack([groups, places]), axis=1, return_inverse=True)
    counts = np.bincount(inverse.ravel(), weights, cells.shape[1]).astype(np.int64)
    for group, cell, count in zip(*cells.tolist(), counts.tolist(), strict=True):
        if count:
            found[group][cell] = count
    return found


def middle(place: int) -> float:
    """The number that stands for a cell."""
    if not place:
        return 0.0
    size = 2 * GROWTH ** (abs(place) - _SHIFT) / (GROWTH + 1)
    return math.copysign(size, place)


def quantile(counts: Mapping[int, int], share: float) -> float:
    """The value at rank floor(share * (n - 1)) of the sorted values, to ACCURACY of its size; NaN of none."""
    total = sum(counts.values())
    if total <= 0:
        return math.nan
    rank, seen = math.floor(share * (total - 1)), 0
    for place in sorted(counts):
        seen += counts[place]
        if seen > rank:
            return middle(place)
    return math.nan


def of_size(counts: Mapping[int, int]) -> dict[int, int]:
    """The cells of the values' sizes."""
    sizes: dict[int, int] = {}
    for place, count in counts.items():
        sizes[abs(place)] = sizes.get(abs(place), 0) + count
    return sizes
