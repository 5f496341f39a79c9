"""Checkpoints as the log states them, read from the ledger."""

import orjson

from services.audit.domain.tree import SUBJECT
from services.audit.projection.tree import Stated
from services.audit.proofs.reading import Finder
from shared.events.audit import CheckpointSigned
from shared.events.catalog import upcast
from shared.log.tables import Query, Row, Where, equal

COLUMNS = ("event_id", "sequence", "time", "entry")


async def next_checkpoint(finder: Finder, last: Row | None) -> Stated | None:
    """The checkpoint that follows this one in the stream, if the ledger has it."""
    where = equal(subject=SUBJECT, sequence=last["sequence"] + 1 if last else 1)
    where += (Where("time", ">=", last["time"]),) if last else ()
    rows = await finder.find(Query("ledger", where, ("time",), 1, columns=COLUMNS))
    return stated_of(rows[0]) if rows else None


def stated_of(row: Row) -> Stated:
    """A ledger row of `CheckpointSigned`."""
    event = orjson.loads(row["entry"])
    version = int(event["dataschema"].rpartition(":")[2])
    data = CheckpointSigned.model_validate(upcast(CheckpointSigned.__name__, version, event["data"]), strict=False)
    return Stated(data, row["event_id"], row["sequence"], row["time"])
