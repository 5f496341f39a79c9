"""One inference request from its body to its answer: read, route, ask, log, answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import numpy as np

from services.deployer.domain import route as routed
from services.deployer.serving.answer import answer_of, answered_outputs, asked_outputs, lone_answer
from services.deployer.serving.frames import Frame, frame_of, known_inputs, spread
from services.deployer.serving.journal import Journal
from services.deployer.serving.parameters import MAX_TEXT, Rows, read_parameters
from services.deployer.serving.records import Line, Shape, line_of, prediction_row, record_batch, shape_of
from services.deployer.serving.refusals import bad_request
from services.deployer.serving.routes import Route
from services.deployer.serving.runtimes import Runtimes
from services.deployer.serving.shadows import Shadowing, Shadows
from services.deployer.serving.tensors import Tensor, read_tensors
from services.deployer.serving.versions import CONSTANT, Part, Versions
from shared.events.batches import prediction_id
from shared.keyring.sealing import ENTITY
from shared.runtime.commands import now
from shared.runtime.predictions import Fallback, PredictionWriter, Target
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings


class Asking(NamedTuple):
    """Who asks, under which request id. `seed` and `batch_id` (of a version) are the same when an idempotent request is
    repeated, so that its rows fall and its events are named as before; `moment` checks a time; `alone`: a lone row may
    share a batch with others."""

    actor: str
    request_id: str
    seed: str
    batch_id: Callable[[int], str]
    moment: Callable[[datetime], datetime]
    alone: bool


@dataclass(slots=True)
class Gateway:
    """Serves the deployments of this process."""

    settings: Settings
    runtimes: Runtimes
    writer: PredictionWriter
    journal: Journal
    shadows: Shadows
    asking: Versions

    async def lone(self, route: Route, body: Any, asking: Asking) -> bytes | None:
        """The answer, as JSON, to one row as most requests have it; None where `infer` must look at the request, be it
        for its form or because the version fails. Raises Problem; then nothing was logged."""
        plan = route.plan
        if plan is None or type(body) is not dict or "outputs" in body:
            return None
        request_id, values = body.get("id") or asking.request_id, plan.values(body.get("inputs"))
        if values is None or type(request_id) is not str or len(request_id) > MAX_TEXT:
            return None
        rows = read_parameters(body.get("parameters"), 1, now(), asking.moment)
        entity = rows.entity[0] if rows.entity else None
        version = plan.version(values, entity, asking.seed)
        try:
            outputs = await self.asking.row(route, version, values)
        except Problem:
            return None
        shape, found = plan.shapes[version], [column.item(0) for column in outputs.values()]
        own = rows.ids[0] if rows.ids else None
        at, segment = (rows.at[0] if rows.at else None) or rows.now, rows.segment[0] if rows.segment else None
        place = await self._line(shape, Line(at, values, found, own, entity, segment), asking.actor)
        if shadows := route.state.traffic.shadows:
            frame = plan.frame(values)
            for shadow in shadows:
                self.shadows.ask(Shadowing(route, shadow, frame, rows, asking.actor, [place]))
        return lone_answer(route.name, shape, found, own or place, request_id)

    async def infer(self, route: Route, version: int | None, body: Any, asking: Asking) -> dict[str, Any]:
        """The protocol's answer; every prediction in it is on its way into the log (`journal`), or there already.
        `version` asks that one whatever the traffic. Raises Problem; then nothing was logged."""
        _answerable(route, version)
        if not isinstance(body, dict):
            raise bad_request("bad-request", "The body must be an object with 'inputs'.")
        request_id = body.get("id") or asking.request_id
        if not isinstance(request_id, str) or len(request_id) > MAX_TEXT:
            raise bad_request("bad-id", f"'id' must be a text of at most {MAX_TEXT} characters.")
        outputs = asked_outputs(route, body.get("outputs"))
        tensors = read_tensors(body.get("inputs"), self.settings.max_rows_per_batch * self.settings.max_features)
        count, named = spread(tensors, self._inputs(route, version), self.settings.max_rows_per_batch)
        known_inputs(named, route.inputs)
        rows = read_parameters(body.get("parameters"), count, now(), asking.moment)
        frames = self._frames(route, version, count, named)
        _about_somebody(route, frames, rows)
        versions = _versions(route, version, frames, rows, asking.seed)
        parts = await self.asking.ask(route, frames, versions, fall=version is None)
        answered_outputs(parts, outputs)
        places = await self._log(route, parts, rows, asking)
        if CONSTANT not in (part.version for part in parts):
            self._shadow(route, named, rows, asking.actor, places)
        ids = places if rows.ids is None else rows.ids
        return answer_of(route, parts, versions, ids, outputs, request_id)

    def _inputs(self, route: Route, version: int | None) -> list[str]:
        """The inputs in the order in which a matrix holds them."""
        served = self.runtimes.served(route, version or route.state.traffic.champion)
        return [one.name for one in served.signature.inputs]

    def _frames(self, route: Route, version: int | None, count: int, named: dict[str, Tensor]) -> dict[int, Frame]:
        """The rows for each version that may answer: a request that one of them could not take is refused whoever
        would have answered, so that no caller fails one time in ten."""
        frames: dict[int, Frame] = {}
        for number in (version,) if version else route.sharing:
            signature = self.runtimes.served(route, number).signature
            same = next((other for other in frames if route.served[other].signature.inputs == signature.inputs), None)
            frames[number] = frames[same] if same is not None else frame_of(count, named, signature)
        return frames

    async def _log(self, route: Route, parts: list[Part], rows: Rows, asking: Asking) -> list[str]:
        """Row by row the id that names its place in the log."""
        target, fallback = _logged(route, parts[0])
        if rows.count == 1 and asking.alone and not (fallback and self.journal.waits(target)):
            (part,) = parts
            shape = self.journal.kept(shape_of(target, part.frame, part.outputs, fallback))
            return [await self._line(shape, line_of(part.frame, part.outputs, rows), asking.actor)]
        batches = await asyncio.gather(*(self._batch(route, part, rows, asking) for part in parts))
        ids = [""] * rows.count
        for part, batch in zip(parts, batches, strict=True):
            for row, place in enumerate(part.places.tolist()):
                ids[place] = prediction_id(batch, row)
        return ids

    async def _line(self, shape: Shape, line: Line, actor: str) -> str:
        """Log one prediction, behind its answer where that may be; returns the id that names its place."""
        if self.journal.waits(shape.target):
            batch, place = await self.writer.placed(shape.target, prediction_row(shape, line), actor)
        else:
            batch, place = await self.journal.row(shape, actor, line)
        return prediction_id(batch, place)

    async def _batch(self, route: Route, part: Part, rows: Rows, asking: Asking) -> str:
        batch = record_batch(part.frame, part.outputs, rows, part.places)
        target, fallback = _logged(route, part)
        waits = not asking.alone or self.journal.waits(target)
        log = self.writer.batch if waits else self.journal.batch
        return await log(target, batch, asking.actor, asking.batch_id(part.version), rows.now, fallback)

    def _shadow(self, route: Route, named: dict[str, Tensor], rows: Rows, actor: str, answered: list[str]) -> None:
        for version in route.state.traffic.shadows:
            try:
                frame = frame_of(rows.count, named, self.runtimes.served(route, version).signature)
            except Problem:  # a shadow may want inputs that nobody sends yet
                self.shadows.failed[route.name, version] += 1
                continue
            self.shadows.ask(Shadowing(route, version, frame, rows, actor, answered))


def _logged(route: Route, part: Part) -> tuple[Target, Fallback]:
    """Whose prediction these rows are on record: a constant's stand for the champion that failed, and say so."""
    if part.version == CONSTANT:
        return route.served[route.state.traffic.champion].target, "constant"
    return route.served[part.version].target, ""


def _answerable(route: Route, version: int | None) -> None:
    traffic, runtime = route.state.traffic, route.state.runtime
    if route.state.retired:
        raise Problem(409, "retired", f"Deployment '{route.name}' was retired and answers nothing.")
    if runtime.kind == "external":
        where = runtime.url or route.served[traffic.champion].artifact.uri
        detail = (
            f"Deployment '{route.name}' is served elsewhere ({where}); its predictions come by POST /v1/predictions."
        )
        raise Problem(409, "served-elsewhere", detail, "Ask it there.", url=runtime.url)
    if version is None:
        return
    if version in traffic.shadows:
        raise Problem(409, "shadow", f"Version {version} of '{route.name}' is a shadow, which never answers.")
    answering = [traffic.champion, *(one.version for one in traffic.challengers)]
    if version not in answering:
        detail = f"Version {version} has no part in the traffic of '{route.name}'."
        raise Problem(404, "unknown-version", detail, f"There: {', '.join(map(str, answering))}.", nearby=answering)


def _about_somebody(route: Route, frames: dict[int, Frame], rows: Rows) -> None:
    """Raise Problem 400 where a version that may answer has personal inputs and a row does not say whose they are."""
    for number, frame in frames.items():
        about = route.served[number].target.subject
        if about is None:
            continue
        named = (rows.entity or [None] * rows.count) if about == ENTITY else frame.columns[about].tolist()
        nobody = next((row for row, one in enumerate(named) if one is None or one == ""), None)
        if nobody is not None:
            where = "parameter 'entity'" if about == ENTITY else f"input '{about}'"
            detail = f"Version {number} takes personal values, and {where} names nobody for row {nobody}."
            raise bad_request("no-subject", detail, "Name the person in each row; nothing was written.")


def _versions(route: Route, version: int | None, frames: dict[int, Frame], rows: Rows, seed: str) -> np.ndarray:
    """The version that answers each row."""
    count = rows.count
    if version is not None:
        return np.full(count, version, np.int32)
    state = route.state
    if state.buckets is None:
        return np.full(count, state.traffic.champion, np.int32)
    by = state.traffic.sticky_by
    if by is None:
        given: list[Any] = [None] * count
    elif by in route.inputs:
        column = frames[state.traffic.champion].columns[by]
        given = column.tolist()
    else:
        given = list(rows.entity) if rows.entity else [None] * count
    # a row without a key of its own falls by the request's seed, which is as good as chance
    keys = [f"{seed}:{row}" if key is None else str(key) for row, key in enumerate(given)]
    return routed(state.traffic, state.buckets, route.name, keys)
