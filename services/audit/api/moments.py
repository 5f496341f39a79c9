"""The two times that a question may be asked as of, as parameters of a request."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import Query as Parameter

from services.audit.moment import Moment
from services.audit.projection import BACKDATED
from shared.runtime.commands import now
from shared.runtime.times import utc

At = Annotated[datetime | None, Parameter(description="What was true at this time; default now.")]
KnownAt = Annotated[datetime | None, Parameter(description="As it was known at this time; default now.")]


def lateness(happened: datetime, recorded: datetime) -> dict[str, Any]:
    """Whether something was recorded long after it happened, and how many seconds after."""
    late = recorded - happened
    return {"backdated": late > BACKDATED, "backdated_by_seconds": late.total_seconds() if late > BACKDATED else 0.0}


def moment(at: datetime | None, known_at: datetime | None) -> Moment:
    """Both times in UTC; the future may be asked about. Raises Problem 422 where a time has no offset."""
    return Moment(utc(at) or now(), utc(known_at) or now())
