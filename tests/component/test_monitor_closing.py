"""Windows close by a clock of the test's own: once, on all that the log held by then, whatever the timer's moments."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.monitor.facts import Facts
from services.monitor.worker.measuring import Measuring
from shared.events import batches
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.events.monitor import WindowMeasured
from shared.log.records import TopicPartition
from tests.component.monitor_story import AT, DAY, arrow, body, monitoring, row, table
from tests.support import System, drain

SECOND = timedelta(seconds=1)
DUE = timedelta(hours=1, seconds=60)
"""Lateness and grace of the default settings."""

IDLE = timedelta(seconds=300)
ARROW = {"content-type": "application/vnd.apache.arrow.stream"}


@dataclass(slots=True)
class Clock:
    """Moves only when told to; the log's own clock is the real one."""

    at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def __call__(self) -> datetime:
        return self.at


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with monitoring() as system:
        yield system


def worker(system: System, clock: Clock) -> Measuring:
    return Measuring(system.services["monitor"], Facts(), clock)


async def measured(system: System) -> list[Event]:
    await system.settle()
    place = TopicPartition("muniment.monitor", 0)
    bounds = (await system.log.bounds([place.topic]))[place]
    events = [decode(record) for record in await system.log.read(place, 0, bounds.end)]
    return [event for event in events if isinstance(event.data, WindowMeasured)]


async def figures(system: System) -> list[tuple[int, int]]:
    """(revision, predictions) of all that was stated."""
    return [(one.data.revision, one.data.predictions) for one in await measured(system)]  # type: ignore[attr-defined]


async def post(system: System, *rows: dict[str, Any]) -> list[str]:
    answer = await system.client.post("/v1/predictions", json=body(*rows))
    assert answer.status_code == 202, answer.text
    return answer.json()["ids"]


def today() -> tuple[dict[str, Any], datetime]:
    """A prediction of this day, and when its window ends."""
    at = datetime.now(UTC)
    return row(at=at.isoformat()), at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY


async def test_the_last_window_of_a_day_closes_by_the_clock_though_nothing_follows(system: System) -> None:
    sent, end = today()
    await post(system, sent, sent)
    await system.settle()
    clock = Clock(end + DUE - SECOND)
    job = worker(system, clock)
    await job.run()
    assert await figures(system) == []
    clock.at += SECOND
    await job.run()
    (event,) = await measured(system)
    assert (event.data.revision, event.data.predictions, event.time) == (0, 2, end + DUE)  # type: ignore[attr-defined]
    shown = (await system.client.get("/v1/deployments/late/windows")).json()["items"][0]
    assert (shown["closed"], shown["revision"]) == (True, 0)


async def test_it_closes_once_for_two_workers_and_after_a_restart(system: System) -> None:
    sent, end = today()
    await post(system, sent)
    await system.settle()
    clock = Clock(end + DUE)
    await asyncio.gather(*(worker(system, clock).run() for _ in range(2)))
    clock.at += DAY
    await worker(system, clock).run()
    assert await figures(system) == [(0, 1)]


async def test_what_comes_after_it_was_closed_by_the_clock_is_a_revision(system: System) -> None:
    sent, end = today()
    (name,) = await post(system, sent)
    await system.settle()
    job = worker(system, Clock(end + DUE))
    await job.run()
    await post(system, sent)
    told = {"outcomes": [{"prediction_id": name, "value": 1}]}
    assert (await system.client.post("/v1/outcomes", json=told)).status_code == 202
    await system.settle()
    await job.run()
    assert await figures(system) == [(0, 1), (1, 2)]
    assert [one.data.outcomes for one in await measured(system)] == [0, 1]  # type: ignore[attr-defined]


async def test_it_stays_open_while_the_log_holds_what_is_not_counted(system: System) -> None:
    sent, end = today()
    await post(system, sent)
    await system.settle()
    await post(system, sent, sent)
    job = worker(system, Clock(end + DUE))
    await job.run()
    await drain(system.consumer("monitor.predictions"), system.settings)
    assert not await system.services["monitor"].store.outbox("muniment.monitor", 0, 10)
    await job.run()
    assert await figures(system) == [(0, 3)]


async def test_it_stays_open_while_views_are_rebuilt(system: System) -> None:
    sent, end = today()
    await post(system, sent)
    await system.settle()
    clock = Clock(end + DUE - SECOND)
    job = worker(system, clock)
    await job.run()
    await post(system, sent, sent)
    await system.settle()
    clock.at = end + DUE
    consumer = system.consumer("monitor.predictions")
    await system.stores["monitor"].clear_views(consumer.name)
    consumer._claims.clear()
    (place,) = [one for one in await system.log.bounds(["muniment.predictions"]) if one.partition == 0]
    facts = system.consumer("monitor.facts")
    await system.stores["monitor"].clear_views(facts.name)
    facts._claims.clear()
    await drain(facts, system.settings)
    await consumer.catch_up(place, await system.log.read(place, 0, 1))
    await job.run()
    assert not await system.services["monitor"].store.outbox("muniment.monitor", 0, 10)
    await drain(consumer, system.settings)
    await job.run()
    assert await figures(system) == [(0, 3)]


async def test_a_replayed_window_stays_open_until_its_deployment_is_silent(system: System) -> None:
    clock = Clock()
    await post(system, row(), row())
    await system.settle()
    job = worker(system, clock)
    clock.at += IDLE - SECOND
    await job.run()
    assert await figures(system) == []
    clock.at = datetime.now(UTC) + IDLE
    await job.run()
    (event,) = await measured(system)
    assert event.data.predictions == 2  # type: ignore[attr-defined]
    assert event.time == (AT + DAY).replace(hour=0)


async def test_a_replay_closes_its_windows_by_event_time_as_if_there_were_no_clock(system: System) -> None:
    clock = Clock()
    job = worker(system, clock)
    for day in range(4):
        at = (AT + day * DAY).isoformat()
        for _ in range(3):
            await post(system, row(at=at), row(at=at))
            await drain(system.consumer("monitor.predictions"), system.settings)
            clock.at += SECOND
            await job.run()
    assert await figures(system) == [(0, 6)] * 3
    clock.at = max(clock.at, datetime.now(UTC)) + IDLE
    await job.run()
    assert await figures(system) == [(0, 6)] * 4


Step = tuple[str, int]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("predict"), st.integers(0, 3)),
        st.tuples(st.just("tell"), st.integers(0, 5)),
        st.tuples(st.just("consume"), st.integers(0, 1)),
        st.tuples(st.just("timer"), st.sampled_from([0, 1, 100, 301, 4_000, 100_000])),
    ),
    max_size=10,
)


@settings(max_examples=15, deadline=None)
@given(STEPS)
def test_whenever_the_timer_runs_the_windows_end_the_same(steps: list[Step]) -> None:
    live = datetime.now(UTC)
    with_timer = asyncio.run(_ended(steps, live))
    without = asyncio.run(_ended([step for step in steps if step[0] != "timer"], live))
    assert with_timer == without


async def _ended(steps: list[Step], live: datetime) -> dict[datetime, WindowMeasured]:
    """The last word on each window; `predict` sends predictions of a day, `tell` outcomes of some batch.

    The `live` day is the fourth, so that both kinds of windows meet.
    """
    async with monitoring() as system:
        clock, sent = Clock(), list[str]()
        job = worker(system, clock)
        for what, value in steps:
            if what == "predict":
                await _predict(system, sent, live if value == 3 else AT + value * DAY, value)
            elif what == "tell" and sent:
                await _tell(system, sent[value % len(sent)], len(sent))
            elif what == "consume":
                await drain(system.consumer("monitor.predictions"), system.settings)
            elif what == "timer":
                clock.at += value * SECOND
                await job.run()
        await drain(system.consumer("monitor.predictions"), system.settings)
        clock.at += 1_000 * DAY
        await job.run()
        return _last(await measured(system))


async def _predict(system: System, sent: list[str], at: datetime, seed: int) -> None:
    made = table(20, at, seed=seed)
    answer = await system.client.post("/v1/predictions", **arrow(made))
    assert answer.status_code == 202, answer.text
    sent.append(answer.json()["batch"])


async def _tell(system: System, batch: str, salt: int) -> None:
    names = [f"{batch}-{place}" for place in range(20)]
    told = pa.record_batch({"prediction_id": names, "value": (np.arange(20) + salt) % 3 == 0})
    answer = await system.client.post("/v1/outcomes", content=batches.write(told), headers=ARROW)
    assert answer.status_code == 202, answer.text


def _last(events: list[Event]) -> dict[datetime, WindowMeasured]:
    found: dict[datetime, WindowMeasured] = {}
    for event in events:
        data = event.data
        assert isinstance(data, WindowMeasured)
        before = found.get(data.window_start)
        assert data.revision == (0 if before is None else before.revision + 1)
        found[data.window_start] = data
    return {start: one.model_copy(update={"revision": 0, "cause": None}) for start, one in found.items()}
