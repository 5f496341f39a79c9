"""Who flagged is told what became of it, and who answers is told what the expert adds."""

from collections.abc import Sequence

import orjson

from shared.events.envelope import Event
from shared.events.feedback import (
    FlagCommented,
    FlagLapsed,
    FlagLocated,
    FlagMerged,
    FlagResolved,
    FlagTriaged,
)
from shared.log.tables import Put, Row
from shared.runtime.service import Live


def channel_of(recipient: str) -> str:
    """Where notices for somebody are sent, for listeners of server-sent events."""
    return f"feedback.notices.{recipient}"


def message_of(notice: Row) -> str:
    """A notice as one line of JSON."""
    return orjson.dumps(notice, option=orjson.OPT_UTC_Z).decode()


async def tell(live: Live, notices: Sequence[Row]) -> None:
    """Send these notices to whoever listens for them, each recipient's in order."""
    messages: dict[str, list[str]] = {}
    for notice in notices:
        messages.setdefault(notice["recipient"], []).append(message_of(notice))
    for recipient, mine in messages.items():
        await live.send(channel_of(recipient), *mine)


def notices_of(event: Event, row: Row, merged: Sequence[Row] = ()) -> list[Put]:
    """What to tell, and whom: who raised the flag (row) and who has it, but never the one who did it. `merged`: flags
    that are answered together with this one."""
    text = _text(event)
    if text is None:
        return []
    told = [(row, row.get("raised_by")), (row, row.get("assignee")), *((one, one["raised_by"]) for one in merged)]
    found: dict[str, Put] = {}
    for flag, who in told:
        lapsed = isinstance(event.data, FlagLapsed | FlagLocated)  # nobody did it, but the log
        if who and (who != event.actor or lapsed) and who not in found:
            said: Row = {"type": event.type, "actor": event.actor, "at": event.recorded or event.time, "text": text}
            found[who] = Put("notices", {"recipient": who, "event_id": event.id, "flag": flag["id"], **said})
    return list(found.values())


def _text(event: Event) -> str | None:
    match event.data:
        case FlagTriaged(assignee=assignee, severity=severity, state=state):
            return f"{event.actor} gave your flag to {assignee}, severity {severity}, state {state}."
        case FlagCommented(comment=comment):
            return f"{event.actor}: {comment}"
        case FlagMerged(into=into):
            return f"{event.actor} found that the flag says the same as {into}; it is answered with that one."
        case FlagResolved(resolution=resolution, comment=comment):
            return f"{event.actor} answered '{resolution.replace('_', ' ')}': {comment}"
        case FlagLapsed(prediction_id=name, waited_seconds=waited):
            return f"Prediction '{name}' did not come within {waited:.0f} s; the flag is kept, and counts no more."
        case FlagLocated(prediction_id=name):
            return f"Prediction '{name}' has come; the flag counts from now on."
        case _:
            return None
