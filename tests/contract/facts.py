"""What the suites of the store keep in it."""

from datetime import UTC, datetime

from msgspec.structs import replace

from shared.events.envelope import Event
from shared.events.registry import GoalStated
from shared.log.records import Record, TopicPartition
from shared.log.store import DeadLetter, Store
from shared.log.tables import Change, Table
from shared.runtime.commands import new_id

AT = datetime(2013, 4, 1, 12, 30, 0, 250_000, UTC)
TOPIC = "muniment.registry"
PLACE = TopicPartition(TOPIC, 0)
GOALS = Table(
    "goals",
    ("name",),
    {
        "name": "text",
        "rank": "integer",
        "size": "bigint",
        "weight": "double",
        "open": "boolean",
        "at": "timestamp",
        "facts": "json",
        "digest": "bytes",
    },
    (("rank",), ("open", "at")),
)
ROW = {
    "name": "warn",
    "rank": 1,
    "size": 2**40,
    "weight": 0.1,
    "open": True,
    "at": AT,
    "facts": {"a": [1, 2.5, None, "ä"], "b": {}},
    "digest": b"\x00\xff",
}


def goal(subject: str = "goal/warn", question: str = "Late?") -> Event:
    data = GoalStated(goal=subject, question=question, owner="ana")
    return Event(new_id(), "/muniment/registry", subject, AT, 0, "ana", data, correlationid="req-1")


def timeless(*events: Event) -> list[Event]:
    """The same without record time: a unit of work that is written with others' learns it only afterwards."""
    return [replace(event, recorded=None) for event in events]


async def append(store: Store, subject: str, expected: int | None, *events: Event) -> list[Event]:
    async with store.begin() as unit:
        return await unit.append(subject, expected, events or [goal(subject)])


async def apply(store: Store, *changes: Change) -> None:
    async with store.begin() as unit:
        await unit.apply(changes)


async def load(store: Store, subject: str, after: int = 0) -> list[Event]:
    async with store.begin() as unit:
        return await unit.load(subject, after)


def letter(consumer: str, offset: int, key: str = "goal/warn", reason: str = "why") -> DeadLetter:
    record = Record(TOPIC, 0, offset, key, (("ce_id", b"\x00\xff"), ("ce_id", b"2")), b"\x00body", AT)
    return DeadLetter(consumer, record, reason, AT)
