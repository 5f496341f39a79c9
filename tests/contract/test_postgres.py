"""What is particular to PostgreSQL: event tables as the log, roles, servers that go away, schemas that grow."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import asyncpg
import pytest

from shared.events.codec import decode
from shared.events.envelope import Event
from shared.events.registry import GoalStated
from shared.log.log import EventLog, LogUnavailable
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_store import PostgresStore
from shared.log.records import Bounds, Outgoing, TopicPartition
from shared.log.store import Store, StoreUnavailable
from shared.log.tables import Put, Query, Table
from shared.runtime.commands import new_id
from tests.contract.facts import goal
from tests.contract.test_event_log import receive, subscribed
from tests.postgres_fixture import PostgresMaker

AT = datetime(2013, 4, 1, 12, 30, tzinfo=UTC)
TOPIC = "muniment.registry"
PLACE = TopicPartition(TOPIC, 0)
GOALS = Table("goals", ("name",), {"name": "text", "rank": "integer"})


async def append(store: Store, subject: str, expected: int | None = None) -> Event:
    data = GoalStated(goal=subject, question="?", owner="ana")
    async with store.begin() as unit:
        events = [Event(new_id(), "/muniment/registry", subject, AT, 0, "ana", data)]
        return (await unit.append(subject, expected, events))[0]


async def test_the_events_of_a_store_are_the_log(postgres: PostgresMaker):
    store = await postgres.store()
    log: EventLog = await postgres.log({TOPIC: "registry"})
    async with subscribed(log, TOPIC) as subscription:
        waiting = asyncio.create_task(receive(subscription, 2))
        events = [await append(store, "goal/a"), await append(store, "goal/b")]
        records = await asyncio.wait_for(waiting, 20)
    assert [decode(record) for record in records] == events
    assert records == await store.outbox(TOPIC, 0, 10) == await log.read(PLACE, 0, 10)
    assert await log.bounds([TOPIC]) == {PLACE: Bounds(0, 2)}


async def test_what_a_store_holds_is_not_published(postgres: PostgresMaker):
    await postgres.store()
    log = await postgres.log({TOPIC: "registry"})
    with pytest.raises(ValueError, match="append there"):
        await log.publish(TOPIC, [Outgoing("k", (), b"")])


async def test_no_subscriber_skips_a_position_that_commits_last(postgres: PostgresMaker):
    """Two processes append at once; the one that came first commits last."""
    first, second = await postgres.store(), await postgres.store()
    log = await postgres.log({TOPIC: "registry"})
    async with subscribed(log, TOPIC) as subscription:
        receiving = asyncio.create_task(receive(subscription, 2))
        async with first.begin() as unit:
            data = GoalStated(goal="a", question="?", owner="ana")
            await unit.append("goal/slow", 0, [Event(new_id(), "/muniment/registry", "goal/slow", AT, 0, "ana", data)])
            quick = asyncio.create_task(append(second, "goal/quick"))
            await asyncio.wait([quick, receiving], timeout=0.3)
            assert not receiving.done()
            assert await log.bounds([TOPIC]) == {PLACE: Bounds(0, 0)}
        await quick
        records = await asyncio.wait_for(receiving, 20)
    assert [(record.offset, record.key) for record in records] == [(0, "goal/slow"), (1, "goal/quick")]


async def test_two_processes_write_one_stream_without_a_gap(postgres: PostgresMaker):
    stores = [await postgres.store() for _ in range(3)]
    await asyncio.gather(*(append(store, f"goal/{n % 4}") for store in stores for n in range(20)))
    records = await stores[0].outbox(TOPIC, 0, 100)
    assert [record.offset for record in records] == list(range(60))
    assert [record.recorded for record in records] == sorted(record.recorded for record in records)
    sequences: dict[str, list[int]] = {}
    for record in records:
        sequences.setdefault(record.key, []).append(decode(record).sequence)
    assert sequences == {f"goal/{n}": list(range(1, 16)) for n in range(4)}


async def test_a_second_process_is_woken_and_finds_all(postgres: PostgresMaker):
    one, two = await postgres.store([GOALS]), await postgres.store([GOALS])
    waiting = asyncio.create_task(two.wait_seen("event", 20))
    await asyncio.sleep(0)
    async with one.begin() as unit:
        await unit.apply([Put("goals", {"name": "a", "rank": 1})])
        await unit.mark_seen("views", ["event"])
    assert await waiting
    assert await two.get("goals", "a") == {"name": "a", "rank": 1}


async def test_a_table_that_gained_a_column_keeps_its_rows(postgres: PostgresMaker):
    store = await postgres.store([GOALS])
    async with store.begin() as unit:
        await unit.apply([Put("goals", {"name": "a", "rank": 1})])
    wider = Table("goals", ("name",), {**GOALS.columns, "owner": "text"}, (("owner",),))
    later = await postgres.store([wider, Table("more", ("id",), {"id": "bigint"})])
    assert await later.find(Query("goals")) == [{"name": "a", "rank": 1, "owner": None}]
    assert await later.find(Query("more")) == []


async def test_a_second_start_waits_for_nobody_who_is_at_work(postgres: PostgresMaker):
    store = await postgres.store([GOALS])
    async with store.begin() as unit:
        await unit.append("goal/a", None, [goal("goal/a")])
        await unit.apply([Put("goals", {"name": "a", "rank": 1})])
        later = await asyncio.wait_for(postgres.store([GOALS]), 20)
        await asyncio.wait_for(postgres.log({TOPIC: "registry"}), 20)
    assert await later.find(Query("goals")) == [{"name": "a", "rank": 1}]


async def test_indexes_that_an_interrupted_load_left_out_are_there_after_the_next_start(postgres: PostgresMaker):
    table = Table("goals", ("name",), {"name": "text", "rank": "integer"}, (("rank",),))
    store = await postgres.store([table])
    with pytest.raises(asyncio.CancelledError):
        async with store.loading(["goals"]):
            raise asyncio.CancelledError
    connection = await asyncpg.connect(postgres.dsn)
    try:
        asked = "SELECT count(*) FROM pg_indexes WHERE schemaname = $1 AND indexname = 'goals_by_rank'"
        assert await connection.fetchval(asked, postgres.schema("registry")) == 0
        await postgres.store([table])
        assert await connection.fetchval(asked, postgres.schema("registry")) == 1
    finally:
        await connection.close()


async def test_nobody_reads_anothers_schema_but_the_log_its_events(postgres: PostgresMaker):
    await postgres.store([GOALS], "registry")
    await postgres.store([GOALS], "audit")
    await postgres.log({TOPIC: "registry"})
    registry, audit, log = (postgres.schema(name) for name in ("registry", "audit", "log"))
    connection = await asyncpg.connect(postgres.dsn)
    try:
        for role, table, allowed in (
            (registry, f"{registry}.view_goals", True),
            (audit, f"{registry}.view_goals", False),
            (audit, f"{registry}.events", False),
            (registry, f"{log}.records", False),
            (log, f"{registry}.events", True),
            (log, f"{registry}.view_goals", False),
            (log, f"{registry}.dead_letters", False),
        ):
            await connection.execute(f'SET ROLE "muniment_{role}"')
            if allowed:
                await connection.fetch(f"SELECT * FROM {table}")
            else:
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await connection.fetch(f"SELECT * FROM {table}")
            await connection.execute("RESET ROLE")
    finally:
        await connection.close()


async def end_connections(postgres: PostgresMaker, name: str) -> None:
    """As a restart of the server would: every connection of this store or log ends."""
    connection = await asyncpg.connect(postgres.dsn)
    ended = await connection.fetchval(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = $1",
        f"muniment_{postgres.schema(name)}",
    )
    await connection.close()
    assert ended


async def test_a_lost_connection_is_unavailable_and_the_next_try_goes_on(postgres: PostgresMaker):
    store: PostgresStore = await postgres.store([GOALS])

    async def interrupted() -> None:
        async with store.begin() as unit:
            await unit.append("goal/a", 0, [event])
            await end_connections(postgres, "registry")
            await unit.load("goal/a")

    event = Event(new_id(), "/m", "goal/a", AT, 0, "ana", GoalStated(goal="a", question="?", owner="ana"))
    with pytest.raises(StoreUnavailable):
        await interrupted()
    assert await recovered(lambda: store.outbox(TOPIC, 0, 10)) == []
    await append(store, "goal/a", 0)
    assert len(await store.outbox(TOPIC, 0, 10)) == 1


async def test_a_log_goes_on_after_lost_connections(postgres: PostgresMaker):
    log: PostgresLog = await postgres.log()
    await log.publish("t", [Outgoing("k", (), b"1")])
    await end_connections(postgres, "log")
    assert (await recovered(lambda: log.publish("t", [Outgoing("k", (), b"2")])))[0][1] == 1
    assert [record.value for record in await log.read(TopicPartition("t", 0), 0, 10)] == [b"1", b"2"]


async def recovered(call: Any) -> Any:
    """What `call` answers once the pool has replaced its dead connections."""
    for _ in range(20):
        try:
            return await call()
        except (StoreUnavailable, LogUnavailable):
            continue
    raise AssertionError("never came back")


async def test_nobody_there_is_unavailable():
    dsn = "postgresql://postgres@127.0.0.1:1/postgres"
    with pytest.raises(StoreUnavailable):
        await PostgresStore(dsn, "registry", []).setup()
    with pytest.raises(LogUnavailable):
        await PostgresLog(dsn, {}).setup()
    with pytest.raises(StoreUnavailable):
        await PostgresStore(dsn, "registry", []).get("goals", "a")


async def test_a_wrong_value_is_an_error_of_the_data(postgres: PostgresMaker):
    """Or a consumer would wait for the server for ever instead of parking the record."""
    store = await postgres.store([GOALS])
    for wrong in ({"name": "a", "rank": "one"}, {"name": "a", "rank": 2**63}, {"name": 1}):
        with pytest.raises(Exception, match=r".") as raised:
            await apply(store, wrong)
        assert not isinstance(raised.value, StoreUnavailable)


async def apply(store: Store, row: dict[str, Any]) -> None:
    async with store.begin() as unit:
        await unit.apply([Put("goals", row)])
