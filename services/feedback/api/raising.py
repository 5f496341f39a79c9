"""How one flag is raised, whoever asks: by hand, in a list, through a link."""

from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any

from services.feedback.api.attachments import attachments, known
from services.feedback.api.bodies import FlagBody, query_of
from services.feedback.domain import flags
from services.feedback.domain.conditions import check
from services.feedback.domain.flags import Raise, Subject
from services.feedback.domain.limits import OPEN_STATES
from services.feedback.domain.naming import flag_id, words_of
from services.feedback.worker.due import due_of
from services.feedback.worker.places import NoSuchRow, Remembering, place_of
from shared.events.feedback import Attachment, Via
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, equal
from shared.runtime.commands import Context
from shared.runtime.problems import Problem
from shared.runtime.responses import described
from shared.runtime.service import Service
from shared.runtime.times import with_offset


@dataclass(frozen=True, slots=True)
class Link:
    """The signed link that raises a flag."""

    id: str
    issuer: str


@dataclass(frozen=True, slots=True)
class Raising:
    """Raises flags of one service. Remembers batches that it has seen."""

    service: Service
    _batches: dict[str, Row] = field(default_factory=dict[str, Row])

    async def flag(
        self,
        unit: UnitOfWork,
        body: FlagBody,
        context: Context,
        via: Via = "api",
        link: Link | None = None,
        unheard: bool = False,
    ) -> dict[str, Any]:
        """Raise it, or answer with the open flag in which the same actor said the same of the same thing before
        (`duplicate: true`). `unheard`: take it that nobody said so, without looking; where somebody did, the unit
        ends in Conflict. Raises Problem 404 `unknown-prediction`, 422 `unknown-attachment`."""
        command = await self._command(unit, body, context, via, link)
        located = command.place is not None or command.subject is not None
        if link is not None:
            return await self._raised(unit, command, context, located)
        words = _words(body, context.actor)
        if unheard:
            command = replace(command, flag=flag_id(words))
            return await self._raised(unit, command, context, located, (0, flags.initial))
        for again in count():
            name = flag_id(words, again)
            _, state = await self.service.commands.state_in(unit, flags, f"flag/{name}")
            if state.state == "none":
                return await self._raised(unit, replace(command, flag=name), context, located)
            if state.state in OPEN_STATES:
                told = {"id": name, "event_id": name, "sequence": 0, "type": "FeedbackFlagged", "events": []}
                located = state.located or state.target != "prediction"
                return told | {"prediction_id": command.prediction_id, "located": located, "duplicate": True}
        raise AssertionError

    async def check(self, unit: UnitOfWork, body: FlagBody, context: Context) -> None:
        """Raise what `flag` would, and nothing else: so that a link is not made for what it could not flag."""
        flags.decide(flags.initial, await self._command(unit, body, context, "link", None))

    async def _raised(
        self,
        unit: UnitOfWork,
        command: Raise,
        context: Context,
        located: bool,
        known: tuple[int, flags.Flag] | None = None,
    ) -> dict[str, Any]:
        context = replace(context, event_id=command.flag)
        events = await self.service.commands.handle_in(unit, flags, f"flag/{command.flag}", command, context, known)
        return described(events) | {"prediction_id": command.prediction_id, "located": located, "duplicate": False}

    async def _command(self, unit: UnitOfWork, body: FlagBody, context: Context, via: Via, link: Link | None) -> Raise:
        try:
            place = await place_of(Remembering(unit, self._batches), body.prediction_id) if body.prediction_id else None
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
            await _attachments(self.service, body),
            via,
            due_of(self.service.settings, body.severity, context.at),
            link.id if link else None,
            link.issuer if link else "",
        )


def _words(body: FlagBody, actor: str) -> bytes:
    return words_of(actor, body.model_dump(mode="json", exclude={"at"}, by_alias=True))


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
