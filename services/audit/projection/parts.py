"""The cold parts of the ledger, as the log states them, and what leaves the ledger for them. Pure."""

from base64 import b64decode
from collections.abc import Iterable

from shared.events.audit import LedgerPartArchived
from shared.log.tables import Change, Put, Row, Table

PARTS = Table(
    "ledger_parts",
    ("part",),
    {
        "part": "bigint",
        "first": "bigint",
        "end": "bigint",
        "root": "bytes",
        "file": "text",
        "sha256": "text",
        "length": "bigint",
        "size": "bigint",
        "event_id": "text",
        "time": "timestamp",
        "dropped": "bigint",
    },
    indexes=(("first",),),
)
"""Every part that is on record. `dropped`: how many of its entries, from `first` on, have left the ledger."""

STATED = ("part", "first", "end", "file", "sha256", "length", "size")
"""The columns that repeat the event's facts as they are."""


def part_row(data: LedgerPartArchived, stated: Row) -> Row:
    """The row of a part of which nothing has left the ledger yet. `stated`: the ledger's row of its event."""
    facts: Row = {name: getattr(data, name) for name in STATED}
    named = {"event_id": stated["event_id"], "time": stated["time"]}
    return {**facts, "root": b64decode(data.root), **named, "dropped": 0}


def dropping(part: Row, leaves: Iterable[tuple[int, str]]) -> list[Change]:
    """What these leaves (index, event id), which follow the dropped ones, come to when their entries leave."""
    changes: list[Change] = [
        Put("ledger", {"event_id": event_id, "entry": None, "cold": index}) for index, event_id in leaves
    ]
    return [*changes, Put(PARTS.name, {"part": part["part"], "dropped": part["dropped"] + len(changes)})]
