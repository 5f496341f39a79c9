"""What came true of an answer came true of the shadows that were asked beside it: outcomes of the one reach the others.

Who folds a shadow's batch and who joins an outcome of its answer both hold the lock of the answer's batch, so one of
them sees what the other wrote: a link that is there when the outcome comes is followed; an outcome that is there when
the shadow comes is taken over.
"""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.monitor.domain.outcomes import Truth
from services.monitor.worker.joining import Told, in_chunks, lock_of
from shared.events import batches
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Row

Links = dict[str, list[Row]]
"""Rows of `shadow_links` by the batch that answered."""

_Pairs = NDArray[np.int32]


def links_in(batch: str, rows: pa.RecordBatch) -> list[Row]:
    """Which batches answered what a shadow's batch was asked, with the pairs of rows (answer's, shadow's)."""
    if batches.SHADOW_OF not in rows.schema.names:
        return []
    answered = rows.column(batches.SHADOW_OF)
    named = pc.utf8_slice_codeunits(answered, 0, 36).dictionary_encode()
    place = pc.utf8_slice_codeunits(answered, 37, 42).cast(pa.int32()).to_numpy(zero_copy_only=False)
    codes = named.indices.to_numpy(zero_copy_only=False)
    found: list[Row] = []
    for code, name in enumerate(named.dictionary.to_pylist()):
        own = np.flatnonzero(codes == code)
        pairs = np.stack([place[own], own], axis=1).astype("<i4")
        found.append({"answered": name, "shadow": batch, "rows": pairs.tobytes()})
    return found


def linked(links: Sequence[Row]) -> list[Change]:
    """The changes that keep these links."""
    return [Put("shadow_links", link) for link in links]


async def links_of(unit: UnitOfWork, answered: Sequence[str]) -> Links:
    """The shadows of these batches, as far as they have come."""
    found: Links = {}
    for row in await in_chunks(unit, "shadow_links", "answered", answered, limit=100_000):
        found.setdefault(row["answered"], []).append(row)
    return found


def shadows_in(links: Links) -> list[str]:
    """The batches of shadows."""
    return sorted({row["shadow"] for rows in links.values() for row in rows})


def beside(told: Sequence[tuple[Row, Told]], links: Links) -> Iterator[tuple[str, Told]]:
    """Of outcomes of answers the same outcomes of their shadows: (the shadow's batch, its outcomes)."""
    for row, outcomes in told:
        for link in links.get(row["batch"], []):
            rows, places = _matched(_pairs(link), outcomes.rows)
            if len(rows):
                at, when = outcomes.at[places], outcomes.told[places]
                yield link["shadow"], Told(outcomes.event, rows, outcomes.values[places], at, when)


def divided(
    found: Iterator[tuple[str, Told]], known: Mapping[str, Row], locked: set[str]
) -> tuple[list[tuple[Row, Told]], list[Change]]:
    """What can be joined under the locks held, and what has to wait: a shadow that came while they were taken."""
    now: list[tuple[Row, Told]] = []
    later: list[Change] = []
    for shadow, told in found:
        if shadow in known and lock_of(shadow) in locked:
            now.append((known[shadow], told))
        else:
            later += waits(shadow, told)
    return now, later


def waits(shadow: str, told: Told) -> list[Change]:
    """Outcomes of a shadow put aside for the sweep."""
    return [
        Put(
            "pending_outcomes",
            {
                "prediction_id": batches.prediction_id(shadow, row),
                "event": told.event,
                "batch": shadow,
                "row": row,
                "value": value,
                "at": at,
                "told": when,
            },
        )
        for row, value, at, when in zip(
            told.rows.tolist(), told.values.tolist(), told.at.tolist(), told.told.tolist(), strict=True
        )
    ]


def inherited(link: Row, truth: Truth) -> Told | None:
    """What is known of an answer's batch already, as outcomes of its shadow."""
    pairs = _pairs(link)
    pairs = pairs[pairs[:, 0] < len(truth.values)]
    pairs = pairs[~np.isnan(truth.values[pairs[:, 0]])]
    if not len(pairs):
        return None
    answer, shadow = pairs[:, 0], pairs[:, 1].astype(np.int64)
    return Told("", shadow, truth.values[answer], truth.at[answer], truth.told[answer])


def _pairs(link: Row) -> _Pairs:
    return np.frombuffer(link["rows"], "<i4").reshape(-1, 2).astype(np.int32)


def _matched(pairs: _Pairs, answers: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(rows of the shadow, places in `answers`) of the answers that have one."""
    to = np.full(max(int(pairs[:, 0].max(initial=-1)), int(answers.max(initial=-1))) + 1, -1, np.int64)
    to[pairs[:, 0]] = pairs[:, 1]
    rows = to[answers]
    places = np.flatnonzero(rows >= 0)
    return rows[places], places
