"""Predictions of a deployment: any slice of them, what they take up, and how long they are kept."""

import asyncio
from collections.abc import AsyncIterator
from time import monotonic
from typing import Annotated, Any, Literal
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from services.monitor.archive.exporting import Exporting
from services.monitor.archive.files import Files
from services.monitor.archive.reading import Archive
from services.monitor.archive.slices import Slice
from services.monitor.domain import retention
from services.monitor.domain.retention import MAX_DAYS, Keep
from services.monitor.personal import names_of
from services.monitor.span import Span
from shared.events.batches import parse_prediction_id
from shared.log.tables import Query as Rows
from shared.log.tables import equal
from shared.runtime.http import Call, reading, writing
from shared.runtime.identity import Role
from shared.runtime.openapi import also
from shared.runtime.problems import Problem, not_found
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import Instant, utc

MEDIA = {"parquet": "application/vnd.apache.parquet", "ndjson": "application/x-ndjson"}
_LIST = {"type": "object", "required": ["items", "next"]}
_ANSWERS: dict[str, Any] = {
    "description": "A page, or all of the slice in a stream.",
    "content": {"application/json": {"schema": _LIST}}
    | {media: {"schema": {"type": "string", "format": "binary"}} for media in MEDIA.values()},
}
POLL_SECONDS = 0.05
MAX_BLOCKS = 1_000_000
_Text = Annotated[str | None, Query(max_length=500)]
_Number = Annotated[float | None, Query(allow_inf_nan=False)]
Since = Annotated[Instant | None, Query(alias="from", description="Made at or after this time (RFC 3339).")]
Until = Annotated[Instant | None, Query(alias="to", description="Made before this time.")]


class RetentionBody(BaseModel):
    """Body of PUT …/retention."""

    model_config = ConfigDict(extra="forbid")

    days: Annotated[
        int, Field(strict=True, ge=0, le=MAX_DAYS, description="Days after a prediction was made; 0: for ever.")
    ]
    reason: Annotated[str, Field(max_length=2_000)] = ""


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/predictions and /archive, GET and PUT /deployments/{name}/retention."""
    _predictions(router, service)
    _archive(router, service)
    _retention(router, service)


def _predictions(router: APIRouter, service: Service) -> None:
    archive = Archive(service.store, Files.of(service.settings))
    exporting = Exporting(service.store, archive)
    doors = _Doors(service.settings.max_exports)
    read = reading(service)

    @router.get("/deployments/{name}/predictions", response_class=Response, responses={200: _ANSWERS} | also(409))
    async def get_predictions(
        name: str,
        since: Since = None,
        until: Until = None,
        version: Annotated[int | None, Query(ge=1, le=2**31 - 1)] = None,
        segment: _Text = None,
        entity: _Text = None,
        output: Annotated[str | None, Query(max_length=200, description="Which output the bounds speak of.")] = None,
        min_output: _Number = None,
        max_output: _Number = None,
        outcome: Literal["any", "known", "unknown"] = "any",
        format: Literal["json", "ndjson", "parquet"] = "json",
        limit: Annotated[int, Query(ge=1, le=1_000, description="Items of a page of format=json.")] = 100,
        cursor: Annotated[str | None, Query(description="`next` of the page before (format=json).")] = None,
        call: Call = Depends(read),
    ) -> Response:
        """Predictions with their outcomes: all of the slice as a Parquet file (`prediction_id`, `deployment`,
        `version`, `at`, `entity`, `segment`, `feature.NAME`, `output.NAME`, `outcome`, `outcome_at`) or as lines of
        JSON, streamed; or a page as JSON. 503 where too many exports run."""
        await _known(service, name)
        await _archived(service, archive, call)
        span = Span(name, version, utc(since), utc(until))
        wanted = Slice(
            span, segment, await names_of(service.keyring, entity, call.caller), output, min_output, max_output, outcome
        )
        if format == "json":
            return Answer(await exporting.page(wanted, cursor, min(limit, service.settings.max_page)))
        stream = exporting.parquet(wanted) if format == "parquet" else exporting.ndjson(wanted)
        body = await doors.through(stream)
        named = quote(f"{name}.{format}", safe="")
        disposition = f"attachment; filename*=UTF-8''{named}"
        return StreamingResponse(body, media_type=MEDIA[format], headers={"Content-Disposition": disposition})


def _archive(router: APIRouter, service: Service) -> None:
    read = reading(service)

    @router.get("/deployments/{name}/archive")
    async def get_archive(name: str, call: Call = Depends(read)) -> Answer:
        """How many predictions are kept, since when, and in how many bytes (of blocks; young ones wait for theirs)."""
        await _known(service, name)
        return Answer(await _sizes(service, name))


def _retention(router: APIRouter, service: Service) -> None:
    read, write = reading(service), writing(service, Role.DEVOPS, Role.RISK_MANAGER)

    @router.get("/deployments/{name}/retention")
    async def get_retention(name: str, call: Call = Depends(read)) -> Answer:
        """For how many days predictions are kept (0: for ever), since when, and what has expired so far."""
        await _known(service, name)
        policy = await service.store.get("retention", name)
        expired = await service.store.get("expired", name)
        item = {name: policy[name] for name in ("days", "reason", "actor", "set_at")} if policy is not None else {}
        default = {"days": service.settings.archive_retention_days, "reason": "default", "actor": None, "set_at": None}
        return Answer(default | item | {"expired_before": expired["before"] if expired is not None else None})

    @router.put("/deployments/{name}/retention")
    async def put_retention(name: str, body: RetentionBody, call: Call = Depends(write)) -> JSONResponse:
        """Set it, on record. What is older leaves the archive at the next sweep; the log's own retention is Kafka's."""
        await _known(service, name)
        return await call.write(retention, f"retention/{name}", Keep(name, body.days, body.reason), status=200)


class _Doors:
    """So many streams at once."""

    def __init__(self, most: int) -> None:
        self.most, self.running = most, 0

    async def through(self, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """The stream, its first part made, so that what is wrong with the request is told with its own status. Raises
        Problem 503 `too-many-exports`."""
        if self.running >= self.most:
            detail = f"{self.running} exports run already."
            raise Problem(503, "too-many-exports", detail, "Try again later.", headers={"Retry-After": "10"})
        self.running += 1
        try:
            first = await anext(stream, b"")
        except BaseException:
            self.running -= 1
            raise
        return self._rest(first, stream)

    async def _rest(self, first: bytes, stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        try:
            yield first
            async for part in stream:
                yield part
        finally:
            self.running -= 1


async def _known(service: Service, name: str) -> None:
    if await service.store.get("deployments", name) is None:
        rows = await service.store.find(Rows("deployments", limit=1_000, columns=("deployment",)))
        not_found("deployment", name, [row["deployment"] for row in rows])


async def _archived(service: Service, archive: Archive, call: Call) -> None:
    """Where `?after=` names a batch or a prediction: wait until the archive has it too. Raises Problem 503."""
    after = call.request.query_params.get("after")
    if after is None:
        return
    given = parse_prediction_id(after)
    batch = given[0] if given is not None else str(UUID(after))
    if await service.store.get("batches", batch) is None:
        return
    until = monotonic() + service.settings.max_wait_seconds
    while not await archive.holds(batch):
        if monotonic() > until:
            detail = f"The archive has not taken batch {batch} after {service.settings.max_wait_seconds:g} s."
            raise Problem(503, "view-behind", detail, "Try again.", headers={"Retry-After": "1"})
        await asyncio.sleep(POLL_SECONDS)


async def _sizes(service: Service, name: str) -> dict[str, Any]:
    columns = ("block", "rows", "bytes", "start", "end", "version")
    blocks = await service.store.find(
        Rows("archive_blocks", equal(deployment=name), ("block",), MAX_BLOCKS, columns=columns)
    )
    young = await service.store.find(
        Rows("archive_young", equal(deployment=name), ("batch",), MAX_BLOCKS, columns=("batch", "rows", "start", "end"))
    )
    rows, size = sum(row["rows"] for row in blocks), sum(row["bytes"] for row in blocks)
    return {
        "predictions": rows + sum(row["rows"] for row in young),
        "oldest": min((row["start"] for row in blocks + young), default=None),
        "newest": max((row["end"] for row in blocks + young), default=None),
        "blocks": len(blocks),
        "bytes": size,
        "bytes_per_prediction": size / rows if rows else None,
        "young": sum(row["rows"] for row in young),
    }
