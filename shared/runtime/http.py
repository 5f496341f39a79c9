"""What every endpoint shares: authentication, rights, `?after=`, Idempotency-Key, paging, and the answer to a write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from shared.events.envelope import Event
from shared.log.tables import Query, Row
from shared.runtime.commands import Context, Decider
from shared.runtime.identity import Caller, Role
from shared.runtime.service import Service


@dataclass(slots=True)
class Call:
    """One authenticated request. Endpoints get it from `reading` or `writing`."""

    service: Service
    caller: Caller
    request: Request
    idempotency_key: str | None
    digest: str

    def context(self, at: datetime | None = None, causationid: str | None = None) -> Context:
        """The context of a command: actor, happened time (`at` or now), a new event id, the request's correlation id.

        Raises Problem 422 `time-in-future` where `at` lies further ahead than `max_clock_skew_seconds`.
        """
        raise NotImplementedError

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
        nothing answers 200 with `"events": []` and the stream's sequence. Raises Problem: 409 in flight,
        422 another body under the same key, and whatever `Refused` says.
        """
        raise NotImplementedError


def reading(service: Service, *roles: Role) -> Callable[..., Any]:
    """Dependency of a GET: authenticates, checks the roles (none named: anybody known), waits for `?after=`."""
    raise NotImplementedError


def writing(service: Service, *roles: Role) -> Callable[..., Any]:
    """Dependency of a POST or PUT: as `reading`, and reads Idempotency-Key and the body's digest."""
    raise NotImplementedError


async def page(
    service: Service, query: Query, cursor: str | None, item: Callable[[Row], dict[str, Any]] | None = None
) -> dict[str, Any]:
    """`{"items": [...], "next": cursor or null}` of a query; the cursor is opaque. Raises Problem 422 on a bad cursor."""
    raise NotImplementedError
