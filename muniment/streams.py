"""Server-sent events (WHATWG HTML, 9.2) as a listener reads them. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import orjson

__all__ = ["StreamEvent", "read_events"]


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event; `id` names the place from which the stream can be taken up again, None where it has none. `Missed` as
    `type` says that something was made meanwhile which cannot be told again."""

    type: str
    data: dict[str, Any]
    id: str | None = None


def read_events(lines: Iterable[str]) -> Iterator[StreamEvent]:
    """The events of these lines; an event that was cut off is left out."""
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield StreamEvent(fields.get("event", "message"), orjson.loads(fields["data"]), fields.get("id"))
        fields = {}
