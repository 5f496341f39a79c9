"""What bulks have flagged that the views do not show yet: two at the same moment flag a prediction once.

A step holds the name of its deployment and category, and keeps in its unit of work what it flagged; the next step of
any bulk in that category sees it, however far the views are.
"""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.feedback.domain.limits import OPEN_STATES
from services.feedback.projection.parts import by_batch
from services.feedback.worker.flagging import Kind
from services.feedback.worker.places import in_chunks
from shared.events import batches
from shared.events.envelope import Event
from shared.events.feedback import PredictionsFlagged
from shared.log.store import UnitOfWork
from shared.log.tables import Delete, Put, Query, Row, equal

TABLE = "claims"
MAX_CLAIMS = 1_000
"""Steps of bulks in one category that the views do not show yet, at most; beyond, the next ones wait."""


class Behind(Exception):
    """The views are so far behind that a step has to wait for them."""


Rows = dict[str, NDArray[np.int32]]
"""Batch → rows, ascending."""


async def hold(unit: UnitOfWork, kinds: Iterable[Kind]) -> None:
    """Let nobody else flag many of these deployments in these categories until the end of the unit of work."""
    await unit.lock(sorted({f"feedback.category.{kind.deployment}/{kind.category}" for kind in kinds}))


async def claimed(unit: UnitOfWork, kind: Kind) -> Rows:
    """Rows for which a flag of this category is open, and which the views do not show yet. Raises Behind."""
    found: dict[str, list[NDArray[np.int32]]] = {}
    claims = await _claims(unit, deployment=kind.deployment, category=kind.category)
    if len(claims) >= MAX_CLAIMS:
        raise Behind(kind.category)
    for claim in await _hidden(unit, claims):
        table = batches.read(claim["rows"])
        row = table.column("row").to_numpy()
        for batch, places in by_batch(table):
            found.setdefault(batch, []).append(row[places])
    return {batch: np.unique(np.concatenate(rows)) for batch, rows in found.items()}


async def claim(unit: UnitOfWork, bulk: str, kind: Kind, events: Sequence[Event]) -> None:
    """Keep what these events flagged."""
    for event in events:
        if isinstance(event.data, PredictionsFlagged) and event.table is not None:
            rows = batches.read(event.table).select(["batch", "row"])
            key = {"flag": event.data.flag, "part": event.data.part, "bulk": bulk, "total": event.data.total}
            of = {"deployment": kind.deployment, "category": kind.category, "rows": batches.write(_plain(rows))}
            await unit.apply([Put(TABLE, key | of)])


async def release(unit: UnitOfWork, bulk: str) -> bool:
    """Let go of what the views show by now; False where they do not show all of this bulk."""
    claims = await _claims(unit, bulk=bulk)
    hidden = {(one["flag"], one["part"]) for one in await _hidden(unit, claims, ended=True)}
    shown = [(one["flag"], one["part"]) for one in claims if (one["flag"], one["part"]) not in hidden]
    await unit.apply([Delete(TABLE, {"flag": flag, "part": part}) for flag, part in shown])
    return not hidden and len(claims) < MAX_CLAIMS


async def _claims(unit: UnitOfWork, **of: str) -> list[Row]:
    return await unit.find(Query(TABLE, equal(**of), limit=MAX_CLAIMS))


async def _hidden(unit: UnitOfWork, claims: Sequence[Row], ended: bool = False) -> list[Row]:
    """Those that the views do not show yet; of flags that have ended too where it is said so."""
    known = {row["id"]: row for row in await in_chunks(unit, "flags", "id", [one["flag"] for one in claims])}
    found: list[Row] = []
    for one in claims:
        row = known.get(one["flag"])
        hidden = row is None or (row["predictions"] or 0) < one["total"]
        if hidden and (ended or row is None or row["state"] in OPEN_STATES):
            found.append(one)
    return found


def _plain(rows: pa.RecordBatch) -> pa.RecordBatch:
    """The columns alone, without what else their schema says."""
    return pa.record_batch({name: rows.column(name) for name in ("batch", "row")})
