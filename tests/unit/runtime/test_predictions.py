"""The writer of predictions: one event per batch, and rows that come alone share one."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.codec import decode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.log.log import LogUnavailable
from shared.log.memory import MemoryLog
from shared.log.records import Outgoing, TopicPartition
from shared.runtime.commands import new_id
from shared.runtime.predictions import PredictionRow, PredictionWriter, Target
from shared.runtime.settings import Settings

AT = datetime(2013, 4, 1, 12, 0, 0, 250_001, UTC)
TARGET = Target("late-flights", "late-flights", 1)


class UnavailableLog(MemoryLog):
    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        raise LogUnavailable("no broker")


async def logged(log: MemoryLog) -> list[Event]:
    return [decode(record) for record in await log.read(TopicPartition(TOPIC_PREDICTIONS, 0), 0, 100)]


def row(**changed: object) -> PredictionRow:
    values: dict[str, object] = {"at": AT, "features": {"hour": 5}, "output": {"probability": 0.25}}
    return PredictionRow(**(values | changed))  # type: ignore[arg-type]


async def test_a_batch_is_one_event_with_its_span_and_its_rows() -> None:
    log = MemoryLog()
    writer = PredictionWriter("deployer", log, Settings())
    later = datetime(2013, 4, 2, tzinfo=UTC)
    rows = pa.record_batch({"at": pa.array([AT, None, later], batches.TIMESTAMP), "feature.hour": [1, 2, 3]})
    batch = new_id()
    assert await writer.batch(TARGET, rows, "ada", batch, later) == batch
    (event,) = await logged(log)
    assert (event.id, event.subject, event.actor, event.source) == (
        batch,
        f"batch/{batch}",
        "ada",
        "/muniment/deployer",
    )
    assert event.data == PredictionLogged(
        deployment="late-flights", model="late-flights", version=1, rows=3, start=AT, end=later, client_ids=False
    )
    assert batches.read(event.table or b"").column("at").to_pylist() == [AT, later, later]


async def test_a_batch_without_times_gets_the_default() -> None:
    log = MemoryLog()
    await PredictionWriter("m", log, Settings()).batch(
        TARGET, pa.record_batch({"feature.x": [1.0]}), "ada", new_id(), AT
    )
    (event,) = await logged(log)
    assert batches.read(event.table or b"").column("at").to_pylist() == [AT]


async def test_rows_that_come_together_share_a_batch_and_each_learns_its_own_place() -> None:
    log = MemoryLog()
    writer = PredictionWriter("monitor", log, Settings())
    ids = await asyncio.gather(*(writer.one(TARGET, row(features={"hour": hour}), "ada") for hour in range(50)))
    (event,) = await logged(log)
    assert ids == [batches.prediction_id(event.id, place) for place in range(50)]
    assert batches.read(event.table or b"").column("feature.hour").to_pylist() == list(range(50))


async def test_a_full_batch_does_not_wait() -> None:
    log = MemoryLog()
    writer = PredictionWriter("monitor", log, Settings(coalesce_rows=10, coalesce_seconds=3600))
    await asyncio.wait_for(asyncio.gather(*(writer.one(TARGET, row(), "ada") for _ in range(30))), 60)
    assert [event.data.rows for event in await logged(log)] == [10, 10, 10]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "other",
    [
        (Target("late-flights", "late-flights", 2), row(), "ada"),
        (TARGET, row(), "eve"),
        (TARGET, row(features={"hour": "five"}), "ada"),
        (TARGET, row(features={"day": 5}), "ada"),
        (TARGET, row(id="mine"), "ada"),
    ],
)
async def test_rows_that_differ_in_kind_do_not_share_a_batch(other: tuple[Target, PredictionRow, str]) -> None:
    log = MemoryLog()
    writer = PredictionWriter("monitor", log, Settings())
    await asyncio.gather(writer.one(TARGET, row(), "ada"), writer.one(*other))
    assert [event.data.rows for event in await logged(log)] == [1, 1]  # type: ignore[attr-defined]


async def test_a_clients_own_id_names_one_row_of_a_batch() -> None:
    log = MemoryLog()
    writer = PredictionWriter("monitor", log, Settings())
    ids = await asyncio.gather(*(writer.one(TARGET, row(id=name), "ada") for name in ("a", "b", "a")))
    assert ids == ["a", "b", "a"]
    tables = [batches.read(event.table or b"").column("prediction_id").to_pylist() for event in await logged(log)]
    assert tables == [["a", "b"], ["a"]]


async def test_every_caller_learns_that_the_log_did_not_acknowledge() -> None:
    writer = PredictionWriter("monitor", UnavailableLog(), Settings())
    answers = await asyncio.gather(*(writer.one(TARGET, row(), "ada") for _ in range(3)), return_exceptions=True)
    assert [type(answer) for answer in answers] == [LogUnavailable] * 3


async def test_closing_writes_what_waits() -> None:
    log = MemoryLog()
    writer = PredictionWriter("monitor", log, Settings(coalesce_seconds=3600))
    waiting = asyncio.create_task(writer.one(TARGET, row(), "ada"))
    await asyncio.sleep(0)
    await writer.close()
    assert batches.parse_prediction_id(await waiting)
    assert len(await logged(log)) == 1
