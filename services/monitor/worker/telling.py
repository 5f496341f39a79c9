"""What was just stated is told to whoever listens. They may hear of it a moment before the views show it."""

from collections.abc import Sequence

import orjson

from shared.events.codec import structured
from shared.events.envelope import Event
from shared.runtime.service import Live

STREAM = "monitor.events"
"""The channel of what the monitor states, for listeners of server-sent events."""


def message_of(event: Event) -> str:
    """A structured CloudEvent as one line of JSON; of a batch only its facts, not its rows."""
    return orjson.dumps(structured(event)).decode()


async def tell(live: Live, events: Sequence[Event]) -> None:
    """Send these events to the listeners."""
    if events:
        await live.send(STREAM, *map(message_of, events))
