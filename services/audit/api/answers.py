"""Rows of the ledger and of the graph as answers show them. Pure."""

from collections.abc import Sequence
from typing import Any

import orjson

from shared.log.tables import Row

EVENT_FIX = "Give an event_id as a write answered it or /v1/events lists it; of one just written, as ?after= too."
"""What to do where no event has an id."""

_HIDDEN = frozenset({"before", "reference"})


def data_of(row: Row) -> dict[str, Any]:
    """The data of a ledger row's event."""
    return orjson.loads(row["entry"])["data"]


def described(node: str, events: Sequence[Row], first: Row | None) -> dict[str, Any]:
    """A node: its attributes as the events about it state them, later ones over earlier ones, and who stated it first.
    `events`: the first, and the newest of each type; the timeline has all."""
    kind, _, name = node.partition("/")
    attributes: dict[str, Any] = {}
    for row in events:
        attributes |= {key: value for key, value in data_of(row).items() if key not in _HIDDEN}
    stated = [first["event_id"]] if first else []
    return {
        "kind": kind,
        "id": name,
        "attributes": attributes,
        "stated_by": first["actor"] if first else None,
        "time": first["time"] if first else None,
        "recorded": first["recorded"] if first else None,
        "events": list(dict.fromkeys([*stated, *(row["event_id"] for row in events)])),
    }


def edge_answer(row: Row) -> dict[str, Any]:
    """An edge as an answer shows it, with the times from which it holds and is known."""
    return {
        "src": row["src"],
        "relation": row["relation"],
        "role": row["role"],
        "dst": row["dst"],
        "detail": row["detail"],
        "valid_from": row["valid_at"],
        "known_from": row["known_at"],
        "event_id": row["event_id"],
    }
