"""The two times that a question may be asked as of, as parameters of a request."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query as Parameter

from services.audit.horizon import horizon
from services.audit.moment import Moment
from services.audit.projection import BACKDATED
from shared.events.batches import parse_prediction_id
from shared.runtime.http import Call
from shared.runtime.times import Instant, utc

At = Annotated[Instant | None, Parameter(description="What was true at this time; default now.")]
KnownAt = Annotated[
    Instant | None, Parameter(description="As it was known at this time; default: as far as the ledger has read.")
]


@dataclass(frozen=True, slots=True)
class Asked:
    """The moment of a question, and what its answer says of how far the ledger has got (`Horizon.told`)."""

    moment: Moment
    ledger: dict[str, Any]


def lateness(happened: datetime, recorded: datetime) -> dict[str, Any]:
    """Whether something was recorded long after it happened, and how many seconds after."""
    late = recorded - happened
    return {"backdated": late > BACKDATED, "backdated_by_seconds": late.total_seconds() if late > BACKDATED else 0.0}


async def asked(
    call: Call, at: datetime | None, known_at: datetime | None, data: bool = False, default: datetime | None = None
) -> Asked:
    """Both times in UTC; the future may be asked about. Where `known_at` is left out it is now, or what the ledger has
    read where events still wait: but not before the event that the caller waited for (`?after=`). `data`: whether the
    answer tells of predictions. `default`: of `at`, instead of now. Raises Problem 422 where a time has no offset."""
    found = await horizon(call.service.log, call.service.store, data)
    known = utc(known_at)
    if known is None:
        waited = await _waited_for(call)
        known = max(found.until, waited) if waited is not None else found.until
    return Asked(Moment(utc(at) or default or found.present, known), found.told(known, known_at is None))


async def _waited_for(call: Call) -> datetime | None:
    """When the event of `?after=` was recorded."""
    after = call.request.query_params.get("after")
    if after is None:
        return None
    batch = parse_prediction_id(after)
    row = await call.service.store.get("ledger", batch[0] if batch is not None else after)
    return row["recorded"] if row is not None else None
