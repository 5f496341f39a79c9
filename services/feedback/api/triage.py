"""What becomes of a flag: owner, state, talk, merge, answer."""

from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from services.feedback.api.bodies import CommentBody, MergeBody, ResolveBody, TriageBody
from services.feedback.api.roles import ANSWERERS
from services.feedback.domain import flags
from services.feedback.domain.flags import Comment, Merge, Resolve, Triage
from services.feedback.domain.limits import OPEN_STATES
from services.feedback.worker.due import due_of
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Where, equal
from shared.runtime.commands import now
from shared.runtime.http import EARLIEST, Call, page, reading, stated, writing
from shared.runtime.identity import usable_actor
from shared.runtime.problems import Problem
from shared.runtime.service import Service
from shared.runtime.times import utc

Limit = Annotated[int, Field(ge=1)]


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    answering, known = Depends(writing(service, *ANSWERERS)), Depends(writing(service))
    seeing = Depends(reading(service))

    @routes.post("/v1/flags/{flag}/triage")
    async def triage(flag: str, body: TriageBody, call: Annotated[Call, answering]) -> JSONResponse:
        """Give a flag to somebody, with the severity that it really has. 409 when it is resolved or merged."""
        context = call.context(body.at)
        due = due_of(service.settings, body.severity, context.at) if body.severity else None
        if body.due is not None:
            due = _due(body.due)
        if not usable_actor(body.assignee):
            raise Problem(422, "bad-actor", "'assignee' must be 1 to 200 printable characters, as an actor's name is.")
        command = Triage(body.assignee, body.severity, body.comment, body.state, due)
        return await call.write(flags, f"flag/{flag}", command, context=context, status=200)

    @routes.post("/v1/flags/{flag}/resolve")
    async def resolve(flag: str, body: ResolveBody, call: Annotated[Call, answering]) -> JSONResponse:
        """Answer the expert. A corrected label becomes the prediction's outcome. 409 when it is resolved already."""
        command = Resolve(body.resolution, body.comment, body.label)
        return await call.write(flags, f"flag/{flag}", command, context=call.context(body.at), status=200)

    @routes.post("/v1/flags/{flag}/merge")
    async def merge(flag: str, body: MergeBody, call: Annotated[Call, answering]) -> JSONResponse:
        """Say that a flag says the same as another; it is answered with that one. 422 where that is none."""
        context = call.context(body.at)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            _, other = await service.commands.state_in(unit, flags, f"flag/{body.into}")
            command = Merge(body.into, other.state, body.comment)
            return await stated(service, unit, flags, f"flag/{flag}", command, context, 200)

        return await call.in_unit(work)

    @routes.post("/v1/flags/{flag}/comments", status_code=201)
    async def comment(flag: str, body: CommentBody, call: Annotated[Call, known]) -> JSONResponse:
        """Say something about a flag, at any time, resolved or not."""
        context = call.context(body.at)
        return await call.write(flags, f"flag/{flag}", Comment(body.comment), context=context)

    @routes.get("/v1/triage")
    async def queue(
        call: Annotated[Call, seeing],
        assignee: str | None = None,
        overdue: bool = False,
        mine: bool = False,
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """What is still to be answered, the most urgent first; `overdue` alone, or of one assignee, or the caller's
        (`mine`)."""
        assignee = call.caller.actor if mine else assignee
        where = [Where("state", "in", sorted(OPEN_STATES)), Where("due", "<" if overdue else ">=", _time(overdue))]
        where += equal(assignee=assignee) if assignee is not None else ()
        return await page(service, Query("flags", tuple(where), ("due",), limit), cursor)


def _due(given: datetime) -> datetime:
    """In UTC. Raises Problem 422 `time-without-zone`, `time-out-of-range`."""
    due = utc(given)
    if due < EARLIEST:
        raise Problem(422, "time-out-of-range", f"'{given.isoformat()}' lies before all time kept here.")
    return due


def _time(overdue: bool) -> datetime:
    """Up to now, or from the first time on that anybody could be given."""
    return now() if overdue else datetime(1, 1, 1, tzinfo=UTC)
