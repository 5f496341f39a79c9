"""What the endpoints of the tree share."""

from base64 import b64encode
from datetime import timedelta
from typing import Any, NoReturn

from services.audit.api.answers import EVENT_FIX
from services.audit.domain.note import parse, parse_signature
from services.audit.proofs.reading import Leaf, TreeReader
from shared.log.tables import Row
from shared.runtime.commands import now
from shared.runtime.problems import Problem, not_found
from shared.runtime.service import Service

MAX_SIZE = 2**53
"""Leaves beyond which no tree is asked about: the integers of JSON end there."""


def base64(data: bytes) -> str:
    return b64encode(data).decode()


async def newest(service: Service, reader: TreeReader) -> Row:
    """The newest checkpoint. Raises 404 before the first."""
    row = await reader.newest()
    if row is None:
        retry(service, 404, "no-checkpoint", "No checkpoint has been signed yet.")
    return row


async def checkpoint_of(service: Service, reader: TreeReader, size: int | None) -> Row:
    """The checkpoint of this size, or the newest. Raises 404."""
    if size is None:
        return await newest(service, reader)
    row = await reader.of_size(size)
    if row is None:
        not_found("checkpoint", str(size), map(str, await reader.near(size)))
    return row


async def cosigned(reader: TreeReader, row: Row) -> str:
    """The note of a checkpoint with the cosignatures that are on record."""
    lines = await reader.cosignatures(row["size"])
    return str(parse(row["note"]).signed(*(parse_signature(line.removesuffix("\n")) for line in lines)))


async def leaf_of(service: Service, reader: TreeReader, event_id: str, size: int) -> Leaf:
    """The leaf of an event, within a tree of this size. Raises 404 for an unknown event, 409 `not-yet-covered`."""
    row = await service.store.get("ledger", event_id)
    if row is None:
        not_found("event", event_id, [], EVENT_FIX)
    index = await reader.index_of(row)
    if index is None:
        retry(service, 409, "not-yet-covered", f"No checkpoint covers event {event_id} yet.")
    if index >= size:
        detail = f"Event {event_id} is leaf {index}, which the checkpoint of {size} leaves does not cover."
        raise Problem(409, "not-covered", detail, "Leave out the size for the newest checkpoint.", index=index)
    return Leaf(index, row)


def retry(service: Service, status: int, code: str, detail: str) -> NoReturn:
    """Raise a problem that passes by itself when the next checkpoint is signed, and tell when that will be."""
    seconds = max(1.0, service.settings.checkpoint_seconds)
    due = now() + timedelta(seconds=seconds)
    fix = "Ask again then. A checkpoint itself is covered once anything else is on record."
    headers = {"Retry-After": str(round(seconds))}
    raise Problem(status, code, f"{detail} The next is due by {due:%Y-%m-%dT%H:%M:%SZ}.", fix, headers, due=due)


def place(row: Row) -> dict[str, Any]:
    """Where in the log a ledger row's record lies."""
    return {name: row[name] for name in ("topic", "partition", "offset")}
