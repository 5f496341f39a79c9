"""Predictions and outcomes in, as JSON or Arrow. 202 comes after the log's acknowledgement."""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import Annotated, Any
from uuid import UUID

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from starlette.datastructures import QueryParams
from starlette.types import Receive, Scope, Send

from services.monitor.facts import Facts, Version
from services.monitor.intake import arrow_rows, json_rows
from services.monitor.intake.bodies import OUTCOMES, PREDICTIONS, decoded
from services.monitor.intake.documents import OUTCOMES_DOC, PREDICTIONS_DOC
from services.monitor.intake.faults import check_rows
from services.monitor.intake.refusals import Refusals
from services.monitor.intake.shapes import Shapes
from shared.events import batches
from shared.events.catalog import TOPIC_OUTCOMES
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.monitor import OutcomeLogged
from shared.log.tables import Query as Rows
from shared.log.tables import equal
from shared.runtime.commands import new_id, now
from shared.runtime.http import Call, authenticated, writing
from shared.runtime.identity import Role
from shared.runtime.predictions import PredictionWriter, Target
from shared.runtime.problems import Problem, not_found
from shared.runtime.responses import Answer, EarlyRoute
from shared.runtime.service import Service

_PLAIN = re.compile("[1-9][0-9]{0,8}")
_ARROW = arrow_rows.MEDIA_TYPE.encode()
_MOST_QUERY = 1_000
WRITERS = (Role.SERVICE, Role.SOFTWARE_ENGINEER, Role.DATA_ENGINEER, Role.DATA_SCIENTIST, Role.DEVOPS)
_WRITERS = frozenset(WRITERS)

Deployment = Annotated[str | None, Query(max_length=200, description="For Arrow bodies; JSON names it in the body.")]
VersionNumber = Annotated[int | None, Query(ge=1, description="For Arrow bodies; JSON names it in the body.")]


def add(router: APIRouter, service: Service) -> None:
    """POST /predictions and /outcomes."""
    intake = Intake(service)
    service.on_close += [intake.writer.close, intake.refusals.close]
    write = writing(service, *WRITERS)

    async def post_predictions(
        request: Request, deployment: Deployment = None, version: VersionNumber = None, call: Call = Depends(write)
    ) -> Response:
        """Log predictions of a deployed version. Rows without an id are given one: its batch and its row."""
        body = await request.body()
        if _is_arrow(request):
            return await intake.arrow(call, body, deployment, version)
        return await intake.json(call, body)

    class Direct(EarlyRoute):
        """The same endpoint without FastAPI's dependencies for a plain request: they cost as much as all the rest."""

        async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
            headers: dict[bytes, bytes] = dict(scope["headers"])
            arrow = _media_type(headers) == _ARROW
            target = _target_in(scope["query_string"]) if arrow else None
            plain = target is not None if arrow else not scope["query_string"]
            if not plain or scope["method"] != "POST" or b"idempotency-key" in headers:
                await super().handle(scope, receive, send)
                return
            request = Request(scope, receive)
            call = Call(service, authenticated(request, _WRITERS), request, None, "")
            body = await request.body()
            response = await (intake.arrow(call, body, *target) if target else intake.json(call, body))
            await response(scope, receive, send)

    router.add_api_route(
        "/predictions",
        post_predictions,
        methods=["POST"],
        status_code=202,
        openapi_extra=PREDICTIONS_DOC,
        route_class_override=Direct,
    )

    @router.post("/outcomes", status_code=202, openapi_extra=OUTCOMES_DOC)
    async def post_outcomes(request: Request, call: Call = Depends(write)) -> Response:
        """Tell what came true. An outcome of a prediction not known yet is kept, and joined when that comes."""
        return await intake.outcomes(call, await request.body(), _is_arrow(request))


class Intake:
    """From a body to the log."""

    def __init__(self, service: Service) -> None:
        self.service, self.facts, self.shapes = service, Facts(), Shapes()
        self.refusals = Refusals(service)
        self.writer = PredictionWriter(service.name, service.log, service.settings, service.keyring)
        self.most = min(service.settings.max_rows_per_batch, batches.MAX_ROWS)
        self.skew = service.settings.max_clock_skew_seconds

    async def json(self, call: Call, body: bytes) -> Response:
        """Answers {accepted, ids, batch}."""
        given = decoded(PREDICTIONS, body)
        check_rows(len(given.predictions), self.most, "predictions")
        version = await self.version(given.deployment, given.version)
        target = await _target(call, given.deployment, version)
        if len(given.predictions) == 1 and call.idempotency_key is None:
            row = json_rows.single(given.predictions[0], version.signature, now(), self.skew)
            if row is not None:
                with self.refusals.counting(given.deployment, version, 1):
                    alone, place = await self.writer.placed(target, row, call.caller.actor)
                name = row.id if row.id is not None else batches.prediction_id(alone, place)
                return Answer({"accepted": 1, "ids": [name], "batch": alone}, 202)
        batch_id = _batch_id(call)
        counting = partial(self.refusals.counting, given.deployment, version, len(given.predictions))
        with counting():
            batch = json_rows.predictions(given.predictions, version.signature, batch_id, now(), self.skew)

        async def work() -> tuple[int, dict[str, Any]]:
            with counting():
                await self.writer.written(target, batch, batches.write(batch), call.caller.actor, batch_id)
            return 202, {"accepted": batch.num_rows, "ids": _ids(batch, batch_id), "batch": batch_id}

        return await call.keep(work)

    async def arrow(self, call: Call, body: bytes, deployment: str | None, number: int | None) -> Response:
        """Answers {accepted, batch}."""
        if deployment is None or number is None:
            raise Problem(422, "no-target", "An Arrow body needs ?deployment= and ?version= in the URL.")
        version = await self.version(deployment, number)
        batch_id = _batch_id(call)
        taken = self._taken(deployment, version, body, batch_id)
        target = await _target(call, deployment, version)

        async def work() -> tuple[int, dict[str, Any]]:
            with self.refusals.counting(deployment, version, taken.batch.num_rows):
                await self.writer.written(target, taken.batch, taken.table, call.caller.actor, batch_id, taken.span)
            return 202, {"accepted": taken.batch.num_rows, "batch": batch_id}

        return await call.keep(work)

    def _taken(self, deployment: str, version: Version, body: bytes, batch_id: str) -> arrow_rows.Taken:
        """Raises Problem 413, 422."""
        present = now()
        known = self.shapes.taken(version, body, present, self.skew)
        if known is not None:
            check_rows(known.batch.num_rows, self.most, "predictions")
            return known
        opened = arrow_rows.opened(body)
        check_rows(opened.num_rows, self.most, "predictions")
        with self.refusals.counting(deployment, version, opened.num_rows):
            taken = arrow_rows.predictions(body, opened, version.signature, batch_id, present, self.skew)
        self.shapes.learn(version, taken, body)
        return taken

    async def outcomes(self, call: Call, body: bytes, arrow: bool) -> Response:
        """Answers {accepted, batch}."""
        batch_id = _batch_id(call)
        if arrow:
            opened = arrow_rows.opened(body)
            check_rows(opened.num_rows, self.most, "outcomes")
            taken = arrow_rows.outcomes(body, opened, now(), self.skew)
            rows, table = taken.batch.num_rows, taken.table
        else:
            given = decoded(OUTCOMES, body)
            check_rows(len(given.outcomes), self.most, "outcomes")
            batch = json_rows.outcomes(given, now(), self.skew)
            rows, table = batch.num_rows, batches.write(batch)

        async def work() -> tuple[int, dict[str, Any]]:
            data, subject = OutcomeLogged(rows=rows), f"outcomes/{batch_id}"
            source = f"/muniment/{self.service.name}"
            event = Event(batch_id, source, subject, now(), 0, call.caller.actor, data, table=table)
            await self.service.log.publish(TOPIC_OUTCOMES, [encode(event)])
            return 202, {"accepted": rows, "batch": batch_id}

        return await call.keep(work)

    async def version(self, deployment: str, number: int) -> Version:
        """The version that is said to have predicted. Raises Problem 404 with what exists nearby."""
        known = self.facts.known(deployment, number)
        if known is not None:
            return known
        store = self.service.store
        model = await self.facts.model(store, deployment)
        if model is None:
            rows = await store.find(Rows("deployments", limit=1_000, columns=("deployment",)))
            not_found("deployment", deployment, [row["deployment"] for row in rows])
        found = await self.facts.version(store, model, number)
        if found is None:
            rows = await store.find(Rows("versions", equal(model=model), limit=1_000, columns=("model", "version")))
            not_found("version", str(number), [str(row["version"]) for row in rows])
        return found


def _is_arrow(request: Request) -> bool:
    return _media_type(dict(request.scope["headers"])) == _ARROW


def _media_type(headers: Mapping[bytes, bytes]) -> bytes:
    return headers.get(b"content-type", b"").split(b";")[0].strip().lower()


def _target_in(query: bytes) -> tuple[str, int] | None:
    """Deployment and version, where a query says these two and nothing else. What is asked often is looked up."""
    return _parsed(query) if len(query) <= _MOST_QUERY else None


@lru_cache(maxsize=1_024)
def _parsed(query: bytes) -> tuple[str, int] | None:
    found = dict(QueryParams(query))
    if set(found) != {"deployment", "version"} or not _PLAIN.fullmatch(found["version"]):
        return None
    return found["deployment"], int(found["version"])


async def _target(call: Call, deployment: str, version: Version) -> Target:
    """Who predicted. What is kept of a request with personal values under its Idempotency-Key cannot be guessed at."""
    signature = version.signature
    if signature.about is not None and call.idempotency_key is not None:
        call.digest = await call.service.keyring.blind(call.digest)
    return Target(deployment, version.model, version.version, signature.personal, signature.about)


def _batch_id(call: Call) -> str:
    """A new id; under an Idempotency-Key always the same one, so that a repetition is known in the log, too."""
    if call.idempotency_key is None:
        return new_id()
    named = f"{call.caller.actor}\n{call.request.url.path}\n{call.idempotency_key}"
    return str(UUID(bytes=hashlib.sha256(named.encode()).digest()[:16], version=5))


def _ids(batch: pa.RecordBatch, batch_id: str) -> list[str]:
    if "prediction_id" in batch.schema.names:
        return batch.column("prediction_id").to_pylist()
    return [f"{batch_id}-{row}" for row in range(batch.num_rows)]
