"""What every endpoint shares: authentication, rights, `?after=`, Idempotency-Key, and the answer to a write."""

import hashlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode
from uuid import UUID

from fastapi import Request
from fastapi.responses import JSONResponse

from shared.events.batches import parse_prediction_id
from shared.events.envelope import Event
from shared.log.store import Conflict, IdempotencyRecord, InFlight, UnitOfWork
from shared.runtime.commands import Context, Decider, new_id, now
from shared.runtime.identity import Caller, Identity, Role
from shared.runtime.paging import page
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer, contended, described, in_flight, replayed
from shared.runtime.scopes import body_of, headers_of
from shared.runtime.service import Service
from shared.runtime.times import with_offset

__all__ = ["Call", "page", "reading", "stated", "writing"]

Answered = tuple[int, dict[str, Any]]
"""HTTP status and body."""

MAX_IDEMPOTENCY_KEY = 255
EARLIEST = datetime(1, 1, 2, tzinfo=UTC)
"""Earlier times cannot be told in every zone."""


@dataclass(slots=True)
class Call:
    """One authenticated request. Endpoints get it from `reading` or `writing`.

    `digest`: SHA-256 of method, path, query and body where an Idempotency-Key came, else "".
    """

    service: Service
    caller: Caller
    request: Request
    idempotency_key: str | None
    digest: str

    @property
    def correlationid(self) -> str:
        """The request's id: what came in X-Request-ID, or a new one."""
        return request_id(self.request)

    @property
    def _key(self) -> str:
        return f"{self.caller.actor}\n{self.idempotency_key}"  # an actor holds no line break

    def context(self, at: datetime | None = None, causationid: str | None = None) -> Context:
        """The context of a command: actor, happened time (`at` or now), a new event id, the request's correlation id.

        Raises Problem 422 `time-in-future` where `at` lies further ahead than `max_clock_skew_seconds`,
        `time-without-zone` where it has no offset, and `time-out-of-range` where it lies before EARLIEST.
        """
        moment = self.moment(at)
        return Context(self.caller.actor, moment, new_id(), self.correlationid, causationid)

    def moment(self, at: datetime | None) -> datetime:
        """A time given by the caller, in UTC, or now. Raises as `context`."""
        if at is None:
            return now()
        with_offset(at)
        skew = self.service.settings.max_clock_skew_seconds
        if at > now() + timedelta(seconds=skew):
            raise Problem(422, "time-in-future", f"'{at.isoformat()}' lies more than {skew:.0f} s in the future.")
        if at < EARLIEST:
            raise Problem(422, "time-out-of-range", f"'{at.isoformat()}' lies before all time kept here.")
        return at.astimezone(UTC)

    async def write(
        self,
        decider: Decider[Any, Any],
        subject: str,
        command: Any,
        *,
        context: Context | None = None,
        status: int = 201,
        answer: Callable[[Sequence[Event]], dict[str, Any]] | None = None,
    ) -> JSONResponse:
        """Run a command and keep its answer under the Idempotency-Key, in one unit of work.

        The answer is `{"id", "event_id", "sequence", "type", "events": [{id, type, sequence}], **answer(events)}`:
        `id` and `event_id` the first event's, `sequence` the last one's place in the stream. A command that changed
        nothing answers 200 with `"events": []` and the stream's sequence; `answer` is not asked then. Raises Problem:
        409 in flight, 422 another body under the same key; and Refused, which the app turns into a problem.
        """
        context = context or self.context()

        async def work(unit: UnitOfWork) -> Answered:
            return await stated(self.service, unit, decider, subject, command, context, status, answer)

        return await self.in_unit(work)

    async def in_unit(self, work: Callable[[UnitOfWork], Awaitable[Answered]]) -> JSONResponse:
        """Run `work` in one unit of work that also keeps its answer under the Idempotency-Key, if one came.

        A Conflict runs it again, as `CommandLoop.attempt` tells. Raises Problem as `write`.
        """

        async def once(unit: UnitOfWork) -> JSONResponse:
            return await self._once(unit, work)

        try:
            return await self.service.commands.attempt(once)
        except InFlight as error:
            raise in_flight() from error
        except Conflict as error:
            raise contended() from error

    async def answered(self) -> bool:
        """Whether an answer is kept under the Idempotency-Key already, so that costly work before `in_unit` may be left
        out. Raises Problem 409 in flight."""
        if self.idempotency_key is None:
            return False
        try:
            async with self.service.store.begin() as unit:
                return await unit.idempotency(self._key) is not None
        except InFlight as error:
            raise in_flight() from error

    async def keep(self, work: Callable[[], Awaitable[Answered]]) -> JSONResponse:
        """As `in_unit` for work that writes to the log itself; without an Idempotency-Key no unit of work is begun.

        A crash between the log's acknowledgement and the keeping may run `work` again: its event ids must tell.
        """
        if self.idempotency_key is None:
            status, body = await work()
            return Answer(body, status)

        async def in_unit(_: UnitOfWork) -> Answered:
            return await work()

        return await self.in_unit(in_unit)

    async def _once(self, unit: UnitOfWork, work: Callable[[UnitOfWork], Awaitable[Answered]]) -> JSONResponse:
        if self.idempotency_key is None:
            status, body = await work(unit)
            return Answer(body, status)
        kept = await unit.idempotency(self._key)
        if kept is not None:
            return replayed(kept, self.digest)
        status, body = await work(unit)
        response = Answer(body, status)
        await unit.keep_idempotency(self._key, IdempotencyRecord(self.digest, status, bytes(response.body)))
        return response


async def stated(
    service: Service,
    unit: UnitOfWork,
    decider: Decider[Any, Any],
    subject: str,
    command: Any,
    context: Context,
    status: int = 201,
    answer: Callable[[Sequence[Event]], dict[str, Any]] | None = None,
) -> Answered:
    """Run a command inside a unit of work; status and answer as `Call.write` tells them. Raises Refused, Conflict."""
    events = await service.commands.handle_in(unit, decider, subject, command, context)
    if events:
        return status, described(events) | (answer(events) if answer else {})
    sequence, _ = await service.commands.state_in(unit, decider, subject)
    return 200, {"id": None, "event_id": None, "sequence": sequence, "type": None, "events": []}


def request_id(request: Request) -> str:
    """The id that the app gave to this request."""
    return request.scope["state"]["request_id"]


def reading(service: Service, *roles: Role) -> Callable[..., Awaitable[Call]]:
    """Dependency of a GET: authenticates, checks the roles (none named: anybody known), waits for `?after=`."""
    allowed = frozenset(roles)

    async def call(request: Request) -> Call:
        caller = authenticated(request, allowed)
        await _honour_after(service, request)
        return Call(service, caller, request, None, "")

    return call


def writing(service: Service, *roles: Role) -> Callable[..., Awaitable[Call]]:
    """Dependency of a POST or PUT: as `reading`, and reads Idempotency-Key and the body's digest.

    Both read what they need from the request themselves: declared parameters would cost every prediction 20 µs each.
    The OpenAPI document names them all the same (`app.create_app`).
    """
    allowed = frozenset(roles)

    async def call(request: Request) -> Call:
        caller = authenticated(request, allowed)
        await _honour_after(service, request)
        given = headers_of(request.scope).get(b"idempotency-key")
        if given is None:
            return Call(service, caller, request, None, "")
        key = given.decode("latin-1")
        if not (0 < len(key) <= MAX_IDEMPOTENCY_KEY and key.isascii() and key.isprintable()):
            detail = f"Idempotency-Key must be 1 to {MAX_IDEMPOTENCY_KEY} printable ASCII characters."
            raise Problem(422, "bad-idempotency-key", detail)
        return Call(service, caller, request, key, await _digest(request))

    return call


async def _honour_after(service: Service, request: Request) -> None:
    if b"after=" in request.scope["query_string"]:
        after = request.query_params.get("after")
        if after is not None:
            await until_seen(service, after)


def authenticated(request: Request, allowed: frozenset[Role]) -> Caller:
    """The caller, with one of the allowed roles (none: any). Raises Problem 401, 403."""
    identity: Identity = request.app.state.identity
    caller = identity.authenticate(request)
    request.scope["state"]["actor"] = caller.actor
    if allowed and not caller.may(allowed):
        names = sorted(allowed | {Role.ADMIN})
        own = ", ".join(sorted(caller.roles)) or "no role"
        detail = f"{caller.actor} has {own}; this needs one of {', '.join(names)}."
        raise Problem(403, "not-allowed", detail, "Ask one of them, or an admin for the role.", roles=names)
    return caller


async def until_seen(service: Service, event_id: str) -> None:
    """Wait until the views hold this event, or the batch that a prediction's id names. Raises Problem 503
    `view-behind`, 422 on what is neither."""
    batch = parse_prediction_id(event_id)
    try:
        wanted = batch[0] if batch is not None else str(UUID(event_id))
    except ValueError as error:
        detail = "?after= takes the id of an event, a batch or a prediction, as a write answered it."
        raise Problem(422, "bad-after", detail) from error
    seconds = service.settings.max_wait_seconds
    if not await service.store.wait_seen(wanted, seconds):
        detail = f"The views of {service.name} have not seen event {wanted} after {seconds:g} s."
        fix = "Try again; if it stays so, see /health/ready."
        raise Problem(503, "view-behind", detail, fix, headers={"Retry-After": "1"})


async def _digest(request: Request) -> str:
    query = [pair for pair in parse_qsl(request.url.query, keep_blank_values=True) if pair[0] != "after"]
    head = f"{request.method}\n{request.url.path}\n{urlencode(query)}\n"
    return hashlib.sha256(head.encode() + await body_of(request)).hexdigest()
