"""Proofs of single events, and bundles of them that a stranger verifies offline."""

from asyncio import gather
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Query as Parameter

from services.audit.api.proofs.common import MAX_SIZE, base64, checkpoint_of, cosigned, leaf_of, newest, place
from services.audit.proofs.reading import Leaf, TreeReader
from shared.log.log import OffsetOutOfRange
from shared.log.records import TopicPartition
from shared.log.tables import Row
from shared.runtime.http import Call, reading
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer
from shared.runtime.service import Service

FORMAT = "muniment-proof-bundle/1"

EventId = Annotated[str, Parameter(description="The event, as the write that stated it answered.")]
Size = Annotated[
    int | None, Parameter(ge=1, le=MAX_SIZE, description="Prove by the checkpoint of this size; default the newest.")
]
From = Annotated[int, Parameter(alias="from", ge=0, le=MAX_SIZE, description="Size of the older tree.")]
To = Annotated[
    int | None,
    Parameter(ge=0, le=MAX_SIZE, description="Size of the newer tree; default that of the newest checkpoint."),
]


def add_routes(router: APIRouter, service: Service) -> None:
    limit = service.settings.max_proofs
    event_ids = Parameter(min_length=1, max_length=limit, description="The events to prove; may be repeated.")

    @router.get("/v1/proofs/inclusion", responses=also(409, 410))
    async def inclusion(
        event_id: EventId, call: Annotated[Call, Depends(reading(service))], size: Size = None
    ) -> Answer:
        """That an event is on record: `{index, size, entry, proof, …}` (base64) by RFC 6962 §2.1.1, and the signed
        checkpoint that it leads to. 409 `not-yet-covered`, with the time when it will be, for one that came since."""
        reader = TreeReader(service.store)
        row = await checkpoint_of(service, reader, size)
        leaf, checkpoint = await gather(leaf_of(service, reader, event_id, row["size"]), cosigned(reader, row))
        head = {"event_id": event_id, "size": row["size"], "root": base64(row["root"])}
        return Answer({**head, **await _proven(reader, leaf, row["size"]), "checkpoint": checkpoint})

    @router.get("/v1/proofs/consistency", responses=also(410))
    async def consistency(older: From, call: Annotated[Call, Depends(reading(service))], to: To = None) -> Answer:
        """That the record only grew between two sizes: the proof (base64) of RFC 6962 §2.1.2."""
        reader = TreeReader(service.store)
        row = await newest(service, reader)
        newer = row["size"] if to is None else to
        return Answer({"from": older, "to": newer, "proof": await _consistent(reader, row, older, newer)})

    @router.get("/v1/proofs/bundle", responses=also(409, 410))
    async def bundle(
        event_id: Annotated[list[str], event_ids],
        call: Annotated[Call, Depends(reading(service))],
        size: Size = None,
        since: Annotated[
            int | None, Parameter(ge=1, le=MAX_SIZE, description="A size that the reader has seen signed.")
        ] = None,
        tables: Annotated[bool, Parameter(description="With the rows of batches, as Arrow IPC streams.")] = False,
    ) -> Answer:
        """One document that proves events to a stranger: `muniment verify --bundle FILE --key KEY`, or the script
        `muniment/verify_standalone.py`, needs nothing else but the key that they trust."""
        reader = TreeReader(service.store)
        row = await checkpoint_of(service, reader, size)
        entries = [await _entry(service, reader, one, row["size"], tables) for one in dict.fromkeys(event_id)]
        checkpoint, keys = await gather(cosigned(reader, row), reader.keys())
        answer: dict[str, Any] = {
            "format": FORMAT,
            "checkpoint": checkpoint,
            "entries": entries,
            "keys": [{name: key[name] for name in ("verifier", "endorsement")} for key in keys],
        }
        if since is not None:
            proof = await _consistent(reader, row, since, row["size"])
            answer["consistency"] = {"from": since, "to": row["size"], "proof": proof}
        return Answer(answer)


async def _proven(reader: TreeReader, leaf: Leaf, size: int) -> dict[str, Any]:
    proof = await reader.inclusion(leaf.index, size)
    return {"index": leaf.index, "entry": base64(leaf.entry), "proof": [base64(one) for one in proof]}


async def _entry(service: Service, reader: TreeReader, event_id: str, size: int, table: bool) -> dict[str, Any]:
    leaf = await leaf_of(service, reader, event_id, size)
    told = {"event_id": event_id, **place(leaf.row), **await _proven(reader, leaf, size)}
    if table and b'"tablesha256":' in leaf.entry:
        told["table"] = base64(await _table(service, leaf.row))
    return told


async def _table(service: Service, row: Row) -> bytes:
    at = TopicPartition(row["topic"], row["partition"])
    try:
        records = await service.log.read(at, row["offset"], 1)
    except OffsetOutOfRange:
        records = []
    if not records:
        detail = f"The log no longer holds {at.topic}[{at.partition}] offset {row['offset']}."
        raise Problem(410, "not-in-the-log", detail, "Ask without tables, or restore the log from its backup.")
    return records[0].value


async def _consistent(reader: TreeReader, newest_row: Row, older: int, newer: int) -> list[str]:
    if newer > newest_row["size"]:
        detail = f"The newest checkpoint has {newest_row['size']} leaves, fewer than {newer}."
        raise Problem(422, "tree-too-small", detail, "Whoever saw a larger one signed has proof of a loss: keep it.")
    if older > newer:
        raise Problem(422, "sizes-reversed", f"{older} is more than {newer}.", "Give the older size as `from`.")
    return [base64(one) for one in await reader.consistency(older, newer)]
