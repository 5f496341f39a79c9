"""Outcomes whose prediction is not known yet: kept, and joined when it comes."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from services.monitor.worker.joining import Told
from shared.log.tables import Change, Delete, Row


def by_event(
    pending: Sequence[Row], batches: Mapping[str, Row], own: Mapping[str, Row]
) -> Iterator[tuple[str, list[tuple[Row, Told]]]]:
    """What can be joined now, event by event: `batches` by id and `own` ids to their batch and row."""
    events: dict[str, dict[str, list[tuple[int, Row]]]] = {}
    for row in sorted(pending, key=lambda one: (one["told"], one["event"], one["prediction_id"])):
        place = _place(row, batches, own)
        if place is not None:
            batch, number = place
            events.setdefault(row["event"], {}).setdefault(batch, []).append((number, row))
    for event, found in events.items():
        yield event, [(batches[batch], _told(event, rows)) for batch, rows in found.items()]


def taken(pending: Sequence[Row], batches: Mapping[str, Row], own: Mapping[str, Row]) -> list[Change]:
    """The rows that need not be kept any longer."""
    return [
        Delete("pending_outcomes", {"prediction_id": row["prediction_id"], "event": row["event"]})
        for row in pending
        if _place(row, batches, own) is not None
    ]


def _place(row: Row, batches: Mapping[str, Row], own: Mapping[str, Row]) -> tuple[str, int] | None:
    batch, number = row["batch"], row["row"]
    if batch is None:
        found = own.get(row["prediction_id"])
        if found is None:
            return None
        batch, number = found["batch"], found["row"]
    known = batches.get(batch)
    return (batch, number) if known is not None and number < known["rows"] else None


def _told(event: str, rows: Sequence[tuple[int, Row]]) -> Told:
    return Told(
        event,
        np.array([number for number, _ in rows], np.int64),
        np.array([row["value"] for _, row in rows], np.float64),
        np.array([row["at"] for _, row in rows], np.int64),
        np.array([row["told"] for _, row in rows], np.int64),
    )
