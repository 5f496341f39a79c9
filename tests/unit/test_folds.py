"""Views are the same rows for any order of the streams and any redelivery, as long as each stream keeps its order.

Here for the registry and feedback; deployer, monitor and audit have tests of their own."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.feedback import projection as feedback
from services.registry import projection as registry
from shared.events.envelope import BatchPayload, Event
from shared.events.registry import PolicyAdopted
from shared.log.memory_unit import Committed
from shared.log.tables import Change, Table
from tests.replay.samples import PAYLOADS, sample

Project = Callable[[Event], Sequence[Change]]
STREAMS = 3


def story(stream: int) -> list[Event]:
    """Every type once, in the order of the samples, on a stream of its own with names of its own."""
    events: list[Event] = []
    for payload in PAYLOADS:
        said = payload.model_dump()
        names: dict[str, Any] = {name: f"{value}.{stream}" for name, value in said.items() if _names(name, value)}
        if isinstance(payload, PolicyAdopted):
            names["version"] = stream  # all policies of a stage are one stream
        event = replace(sample(payload), id=f"{type(payload).__name__}.{stream}", subject=f"story/{stream}")
        direct = isinstance(payload, BatchPayload) and payload.OWNER == "monitor"
        sequence = 0 if direct else len(events) + 1
        events.append(replace(event, sequence=sequence, data=payload.model_copy(update=names)))
    return events


def _names(field: str, value: Any) -> bool:
    return isinstance(value, str) and field in {
        *("goal", "kpi", "dataset", "pipeline", "run", "model", "evidence", "approval", "alias", "flag", "deployment"),
        *("batch", "prediction_id", "decision", "bulk", "rule", "review", "export"),
        *("proposal", "exception", "webhook"),
    }


STORIES = [story(stream) for stream in range(STREAMS)]


def rows(tables: Sequence[Table], project: Project, events: Sequence[Event]) -> dict[str, Any]:
    """What a consumer makes of these deliveries: each stream's events once, by their sequence."""
    committed = Committed({table.name: table for table in tables})
    heads: dict[str, int] = {}
    for event in events:
        if event.sequence and event.sequence <= heads.get(event.subject, 0):
            continue
        heads[event.subject] = event.sequence or heads.get(event.subject, 0)
        for change in project(event):
            committed.apply(change)
    return committed.rows


@st.composite
def deliveries(draw: st.DrawFn) -> list[Event]:
    """The streams interleaved, with stretches of each delivered again."""
    turns = draw(st.permutations([stream for stream in range(STREAMS) for _ in PAYLOADS]))
    places, delivered = [0] * STREAMS, []
    for stream in turns:
        delivered.append(STORIES[stream][places[stream]])
        places[stream] += 1
        if places[stream] > 3 and draw(st.booleans()):
            delivered += STORIES[stream][places[stream] - 3 : places[stream]]
    return delivered


@pytest.mark.parametrize("room", [registry, feedback], ids=["registry", "feedback"])
@settings(max_examples=25, deadline=None)
@given(events=deliveries())
def test_any_interleaving_and_redelivery_gives_the_same_rows(room: Any, events: list[Event]) -> None:
    straight = rows(room.TABLES, room.project, [event for one in STORIES for event in one])
    assert rows(room.TABLES, room.project, events) == straight
    assert sum(map(len, straight.values())) > STREAMS
