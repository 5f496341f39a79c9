"""Past cases of the same version most like one, among the newest of the archive, and what came true of them."""

# pyright: reportAttributeAccessIssue=false

import heapq
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from services.monitor.archive.blocks import BATCH, ROW
from services.monitor.archive.files import Unreadable, in_thread
from services.monitor.archive.reading import Archive
from services.monitor.domain.explanation import distances
from services.monitor.span import Span
from shared.events import batches

DIGITS = 6


@dataclass(frozen=True, slots=True)
class Near:
    """A past case. `distance`: see `domain.explanation.distances`; 0 is the same."""

    distance: float
    batch: str
    row: int
    values: dict[str, Any]

    @property
    def id(self) -> str:
        return self.values.get("prediction_id") or batches.prediction_id(self.batch, self.row)


@dataclass(frozen=True, slots=True)
class Looked:
    """The nearest first, and among how many."""

    cases: list[Near]
    rows: int


async def nearest(
    archive: Archive,
    span: Span,
    before: datetime,
    own: tuple[str, int],
    features: Mapping[str, Any],
    scale: Mapping[str, float],
    most: int,
    rows: int,
) -> Looked:
    """The `most` cases of a span before a moment that are nearest to `features`, among the `rows` newest. Ends early
    where a block cannot be read."""
    best: list[tuple[float, str, int, dict[str, Any]]] = []
    seen = 0
    pieces = archive.newest(span)
    try:
        async for piece in pieces:
            table = piece.filter(pc.less_equal(piece.column("at"), pa.scalar(before, batches.TIMESTAMP)))
            table = table.slice(0, rows - seen)
            seen += table.num_rows
            best += await in_thread(_ranked, table, own, features, scale, most)
            best = heapq.nsmallest(most, best, key=lambda one: one[:3])
            if seen >= rows:
                break
    except Unreadable:
        pass
    finally:
        await pieces.aclose()  # type: ignore[attr-defined]
    return Looked([Near(*one) for one in best], seen)


def _ranked(
    table: pa.Table, own: tuple[str, int], features: Mapping[str, Any], scale: Mapping[str, float], most: int
) -> list[tuple[float, str, int, dict[str, Any]]]:
    columns = {
        name: _values(table.column(batches.FEATURE + name), name in scale)
        for name in features
        if batches.FEATURE + name in table.schema.names
    }
    if not table.num_rows or not columns:
        return []
    found = distances(features, columns, scale)
    found[_is(table, own)] = np.inf
    places = np.argsort(found, kind="stable")[:most]
    ranked: list[tuple[float, str, int, dict[str, Any]]] = []
    for place in places:
        if np.isfinite(found[place]):
            values = table.slice(int(place), 1).to_pylist()[0]
            ranked.append((round(float(found[place]), DIGITS), values.pop(BATCH), values.pop(ROW), values))
    return ranked


def _values(column: pa.ChunkedArray, number: bool) -> Any:
    if number and not pa.types.is_string(column.type):
        return column.cast(pa.float64(), safe=False).to_numpy()
    return np.array(column.to_pylist(), np.object_)


def _is(table: pa.Table, own: tuple[str, int]) -> np.ndarray:
    same = pc.and_(pc.equal(table.column(BATCH), own[0]), pc.equal(table.column(ROW), own[1]))
    return np.asarray(same.to_numpy())
