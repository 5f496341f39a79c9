"""How a version's reference is cut into cells, so that a window of any size is counted in the same cells.

Numeric: CELLS cells of equal width between the 0.5 % and 99.5 % quantiles of the reference, one below, one above.
Categorical (text, boolean): the reference's own values, most frequent first; all others together.
"""

# pyright: reportUnknownMemberType=false

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from shared.events.registry import Signature

CELLS = 256
BELOW, ABOVE = 0, CELLS + 1
TAIL = 0.005
_VAST = 1e300
"""Differences of numbers no greater than this are finite."""

Kind = Literal["numeric", "categorical"]
Reference = float | str | bool | None


@dataclass(frozen=True, slots=True)
class FeatureBins:
    """The reference of one feature: where its cells lie and how its values fall into them.

    `cells`: (cell, count) of the cells not empty; `counts`: (value, count); `other`: values beyond the limit.
    """

    feature: str
    kind: Kind
    low: float = 0.0
    high: float = 0.0
    cells: tuple[tuple[int, int], ...] = ()
    counts: tuple[tuple[str, int], ...] = ()
    other: int = 0
    missing: int = 0

    def dense(self) -> NDArray[np.int64]:
        """The reference's counts in all CELLS + 2 cells."""
        cells = np.zeros(CELLS + 2, np.int64)
        for cell, count in self.cells:
            cells[cell] = count
        return cells


Bins = Mapping[str, FeatureBins]


def bins_of(
    signature: Signature, reference: Mapping[str, Sequence[Reference]], max_categories: int = 1_000
) -> dict[str, FeatureBins]:
    """The bins of every feature that the reference has values of (at least one not missing)."""
    types = {field.name: field.type for field in signature.inputs}
    bins: dict[str, FeatureBins] = {}
    for feature, values in sorted(reference.items()):
        known = [value for value in values if not _missing(value)]
        if not known:
            continue
        missing = len(values) - len(known)
        if _categorical(types.get(feature), known):
            bins[feature] = _categories(feature, known, missing, max_categories)
        else:
            bins[feature] = _cells(feature, np.array(known, np.float64), missing)
    return bins


def cells_of(values: NDArray[np.float64], low: Any, high: Any) -> NDArray[np.int64]:
    """The cell of each finite value: BELOW, 1 to CELLS, or ABOVE. `low` and `high` broadcast against `values`."""
    with np.errstate(over="ignore"):  # what overflows lies above or below all cells
        places = np.floor((values - low) * (CELLS / (high - low)))
    return np.clip(places, -1, CELLS, out=places).astype(np.int64) + 1


def as_json(bins: Bins) -> list[dict[str, Any]]:
    """The bins as JSON data for a view; `from_json` reads them back."""
    return [
        {
            "feature": one.feature,
            "kind": one.kind,
            "low": one.low,
            "high": one.high,
            "cells": [list(pair) for pair in one.cells],
            "counts": [list(pair) for pair in one.counts],
            "other": one.other,
            "missing": one.missing,
        }
        for _, one in sorted(bins.items())
    ]


def from_json(data: Sequence[Mapping[str, Any]]) -> dict[str, FeatureBins]:
    """The bins that `as_json` wrote."""
    return {
        one["feature"]: FeatureBins(
            one["feature"],
            one["kind"],
            float(one["low"]),
            float(one["high"]),
            tuple((int(cell), int(count)) for cell, count in one["cells"]),
            tuple((str(value), int(count)) for value, count in one["counts"]),
            int(one["other"]),
            int(one["missing"]),
        )
        for one in data
    }


def category(value: object) -> str:
    """How a categorical value is named in counts."""
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


def _missing(value: Reference) -> bool:
    return value is None or (isinstance(value, float) and not math.isfinite(value))


def _categorical(stated: str | None, known: Sequence[Reference]) -> bool:
    if stated is not None:
        return stated in ("string", "boolean")
    return any(isinstance(value, str | bool) for value in known)


def _categories(feature: str, known: Sequence[Reference], missing: int, limit: int) -> FeatureBins:
    counts = Counter(category(value) for value in known)
    ranked = sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
    other = sum(count for _, count in ranked[limit:])
    return FeatureBins(feature, "categorical", counts=tuple(ranked[:limit]), other=other, missing=missing)


def _cells(feature: str, known: NDArray[np.float64], missing: int) -> FeatureBins:
    low, high = (float(edge) for edge in np.quantile(np.clip(known, -_VAST, _VAST), [TAIL, 1 - TAIL]))
    if not math.isfinite(CELLS / (high - low) if high > low else math.inf):  # constant, or as good as that
        half = max(0.5, abs(low) * 1e-6)
        low, high = low - half, high + half
    counts = np.bincount(cells_of(known, low, high), minlength=CELLS + 2)
    filled = tuple((int(cell), int(counts[cell])) for cell in np.flatnonzero(counts))
    return FeatureBins(feature, "numeric", low, high, filled, missing=missing)
