"""How one flag is raised, whoever asks: by hand, in a list, through a link."""

from dataclasses import dataclass
from typing import Any

from services.feedback.api.attachments import attachments, known
from services.feedback.api.bodies import FlagBody, query_of
from services.feedback.domain import flags
from services.feedback.domain.conditions import check
from services.feedback.domain.flags import Raise, Subject
from services.feedback.domain.limits import OPEN_STATES
from services.feedback.worker.due import due_of
from services.feedback.worker.places import NoSuchRow, place_of
from shared.events.feedback import Attachment, Via
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.commands import Context
from shared.runtime.http import described
from shared.runtime.problems import Problem
from shared.runtime.service import Service
from shared.runtime.times import with_offset

_SAME = 50


@dataclass(frozen=True, slots=True)
class Link:
    """The signed link that raises a flag."""

    id: str
    issuer: str


async def raise_flag(
    service: Service, unit: UnitOfWork, body: FlagBody, context: Context, via: Via = "api", link: Link | None = None
) -> dict[str, Any]:
    """Raise it, or answer with the open flag in which the same actor said the same of the same thing before
    (`duplicate: true`). Raises Problem 404 `unknown-prediction`, 422 `unknown-attachment`."""
    command = await _command(service, unit, body, context, via, link)
    if (same := await _same(unit, command, context.actor)) is not None:
        told = {"id": same["id"], "event_id": same["id"], "sequence": 0, "type": "FeedbackFlagged", "events": []}
        return told | {"prediction_id": command.prediction_id, "located": same["located"], "duplicate": True}
    events = await service.commands.handle_in(unit, flags, f"flag/{command.flag}", command, context)
    located = command.place is not None or command.subject is not None
    return described(events) | {"prediction_id": command.prediction_id, "located": located, "duplicate": False}


async def _command(
    service: Service, unit: UnitOfWork, body: FlagBody, context: Context, via: Via, link: Link | None
) -> Raise:
    try:
        place = await place_of(unit, body.prediction_id) if body.prediction_id else None
    except NoSuchRow as error:
        fix = "Take the id as the prediction's answer gave it."
        raise Problem(404, "unknown-prediction", str(error), fix) from error
    return Raise(
        context.event_id,
        body.prediction_id or "",
        place,
        body.category,
        body.severity,
        body.expected,
        body.comment,
        await _subject(unit, body),
        await _attachments(service, body),
        via,
        due_of(service.settings, body.severity, context.at),
        link.id if link else None,
        link.issuer if link else "",
    )


async def _subject(unit: UnitOfWork, body: FlagBody) -> Subject | None:
    if body.slice is not None:
        query = query_of(body.slice, with_offset)
        check(query.where)
        known = await unit.find(Query("batches", equal(deployment=query.deployment), limit=1, columns=("model",)))
        model = known[0]["model"] if known else None
        return Subject("slice", query.deployment, model, query.version, query)
    if body.model is not None:
        return Subject("model", model=body.model, version=body.version)
    if body.pipeline is not None:
        return Subject("pipeline", pipeline=body.pipeline)
    return None


async def _attachments(service: Service, body: FlagBody) -> tuple[Attachment, ...]:
    if len(body.attachments) > service.settings.max_attachments:
        detail = f"{len(body.attachments)} attachments are more than {service.settings.max_attachments}."
        raise Problem(422, "too-many-attachments", detail)
    found: list[Attachment] = []
    for one in body.attachments:
        kept = await known(attachments(service.settings), one.sha256)
        if kept is None:
            fix = "Send it to POST /v1/attachments first."
            raise Problem(422, "unknown-attachment", f"There is no attachment {one.sha256}.", fix)
        found.append(Attachment(sha256=one.sha256, name=one.name, media_type=kept["media_type"], bytes=kept["bytes"]))
    return tuple(found)


async def _same(unit: UnitOfWork, command: Raise, actor: str) -> Row | None:
    """The open flag of this actor that says the same of the same thing, as far as the views know."""
    if not command.prediction_id:
        return None
    await unit.lock([f"feedback.flag.{actor}/{command.prediction_id}"])
    where = (*equal(prediction_id=command.prediction_id, raised_by=actor, category=command.category),)
    rows = await unit.find(Query("flags", (*where, Where("state", "in", sorted(OPEN_STATES))), limit=_SAME))
    said = (command.expected, command.comment, command.severity)
    return next((row for row in rows if (row["expected"], row["comment"], row["severity"]) == said), None)
