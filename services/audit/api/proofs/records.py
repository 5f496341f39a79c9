"""The record as lists: checkpoints, entries in the order of the tree, keys, and how far places outside have got."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi import Path as Segment
from fastapi import Query as Parameter

from services.audit.api.proofs.common import MAX_SIZE, base64, checkpoint_of, cosigned, newest, place
from services.audit.domain.merkle import Range
from services.audit.proofs.reading import TreeReader
from shared.log.tables import Query, Row
from shared.runtime.http import Call, page, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service

Limit = Annotated[int, Parameter(ge=1, description="Items of one page.")]


def add_routes(router: APIRouter, service: Service) -> None:
    _checkpoints(router, service)
    _parts(router, service)

    @router.get("/v1/proofs/entries")
    async def entries(
        call: Annotated[Call, Depends(reading(service))],
        start: Annotated[int, Parameter(ge=0, le=MAX_SIZE, description="The first leaf.")] = 0,
        limit: Limit = 1_000,
    ) -> Answer:
        """Leaves in the order of the tree, each with its entry (text) and its place in the log; `next` is the leaf to
        go on with. What the newest checkpoint does not cover is not among them."""
        reader = TreeReader(service.store)
        size: int = (await newest(service, reader))["size"]
        end = min(size, start + min(limit, service.settings.max_proofs))
        leaves = await reader.leaves(Range(min(start, end), end))
        items = [
            {"index": leaf.index, **place(leaf.row), "entry": leaf.row["entry"], "event_id": leaf.row["event_id"]}
            for leaf in leaves
        ]
        return Answer({"items": items, "next": end if end < size else None, "size": size})

    @router.get("/v1/keys")
    async def keys(call: Annotated[Call, Depends(reading(service))]) -> Answer:
        """The keys that sign checkpoints, the oldest first: verifier key (c2sp.org/signed-note), from when until when
        it signed, and the note by which it took over. `valid_until` null: it signs now."""
        found = await TreeReader(service.store).keys()
        ends = [*(key["time"] for key in found[1:]), None]
        items = [
            {
                "key_id": key["key_id"],
                "origin": key["origin"],
                "verifier": key["verifier"],
                "valid_from": key["time"],
                "valid_until": end,
                "replaces": key["replaces"],
                "endorsement": key["endorsement"],
                "event_id": key["event_id"],
            }
            for key, end in zip(found, ends, strict=False)
        ]
        return Answer({"items": items, "next": None})

    @router.get("/v1/proofs/publications")
    async def publications(call: Annotated[Call, Depends(reading(service))]) -> Answer:
        """Places outside and witnesses: the size each has got, when, and what went wrong since."""
        rows = await service.store.find(Query("tree_published", limit=service.settings.max_page))
        return Answer({"items": rows, "next": None})


def _parts(router: APIRouter, service: Service) -> None:
    @router.get("/v1/proofs/parts")
    async def parts(
        call: Annotated[Call, Depends(reading(service))], cursor: str | None = None, limit: Limit = 100
    ) -> Answer:
        """The cold parts of the ledger, the newest first: leaves (`end` not included), root of their subtree, file with
        its digest and length, and how many of their entries have left the ledger."""
        query = Query("ledger_parts", order=("-part",), limit=limit)
        return Answer(await page(service, query, cursor, lambda row: {**row, "root": base64(row["root"])}))


def _checkpoints(router: APIRouter, service: Service) -> None:
    @router.get("/v1/proofs/checkpoints")
    async def checkpoints(
        call: Annotated[Call, Depends(reading(service))], cursor: str | None = None, limit: Limit = 100
    ) -> Answer:
        """Every checkpoint as it was signed, the newest first."""
        return Answer(await page(service, Query("checkpoints", order=("-sequence",), limit=limit), cursor, told))

    @router.get("/v1/proofs/checkpoints/{size}")
    async def checkpoint(
        size: Annotated[int, Segment(ge=0, le=MAX_SIZE)], call: Annotated[Call, Depends(reading(service))]
    ) -> Answer:
        """One checkpoint with its cosignatures, and the stretches of the log that it added as leaves, in order."""
        reader = TreeReader(service.store)
        row = await checkpoint_of(service, reader, size)
        runs = await reader.runs(Range(row["previous"], row["size"]))
        shown = [{name: run[name] for name in ("first", "topic", "partition", "begin", "end")} for run in runs]
        return Answer({**told(row), "checkpoint": await cosigned(reader, row), "runs": shown})


def told(row: Row) -> dict[str, Any]:
    """A checkpoint as an answer shows it."""
    return {
        "size": row["size"],
        "previous": row["previous"],
        "root": base64(row["root"]),
        "key_id": row["key_id"],
        "time": row["time"],
        "event_id": row["event_id"],
        "checkpoint": row["note"],
    }
