"""Times that callers give: with an offset, and in UTC from then on."""

from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, overload

from pydantic import BeforeValidator

from shared.runtime.problems import Problem


def _written(value: object) -> object:
    """Refuse numbers, which would be taken for seconds since 1970: `2013` is meant as a year."""
    with suppress(TypeError, ValueError):
        if not isinstance(value, datetime):
            float(value)  # pyright: ignore[reportArgumentType]
            value = None
    if value is None:
        raise ValueError("a time is written as RFC 3339, such as 2013-04-01T00:00:00Z; a number is none")
    return value


Instant = Annotated[datetime, BeforeValidator(_written)]
"""A time as a request writes it."""


def with_offset(at: datetime) -> datetime:
    """The same time. Raises Problem 422 `time-without-zone` where it has no offset."""
    if at.tzinfo is None:
        raise Problem(422, "time-without-zone", f"'{at.isoformat()}' has no offset.", "Write it as RFC 3339, with Z.")
    return at


@overload
def utc(at: datetime) -> datetime: ...


@overload
def utc(at: None) -> None: ...


@overload
def utc(at: datetime | None) -> datetime | None: ...


def utc(at: datetime | None) -> datetime | None:
    """A time of a request in UTC, if there is one. Raises Problem 422 `time-without-zone`, or `time-out-of-range` where
    it lies so near to the calendar's end that UTC cannot tell it."""
    if at is None:
        return None
    try:
        return with_offset(at).astimezone(UTC)
    except OverflowError as error:
        raise Problem(422, "time-out-of-range", f"'{at.isoformat()}' cannot be told in UTC.") from error
