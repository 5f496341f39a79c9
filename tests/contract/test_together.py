"""Units of work that are written in groups on PostgreSQL: what one of them meets, no other one feels."""

import asyncio
from dataclasses import dataclass
from itertools import groupby

import asyncpg
import pytest
from msgspec.structs import replace

from shared.events.envelope import Event
from shared.log.postgres_store import PostgresStore
from shared.log.store import Conflict, IdempotencyRecord, InFlight, StoreUnavailable
from shared.log.tables import Put
from shared.runtime.commands import CommandLoop, Context, new_id
from tests.component.toy import Goals, StateGoal
from tests.contract.conftest import StoreFactory
from tests.contract.facts import AT, GOALS, ROW, TOPIC, append, goal, load
from tests.postgres_fixture import PostgresMaker

ANSWER = IdempotencyRecord("digest", 201, b"{}")


async def together(store: PostgresStore, subject: str, *events: Event, expected: int = 0, key: str = "") -> None:
    async with store.begin(together=True) as unit:
        if key:
            assert await unit.idempotency(key) is None
        await unit.append(subject, expected, events or [goal(subject)])
        if key:
            await unit.keep_idempotency(key, ANSWER)


async def kept(store: PostgresStore, key: str) -> IdempotencyRecord | None:
    async with store.begin() as unit:
        return await unit.idempotency(key)


@dataclass
class Held:
    """Another process that has taken its turn at `subject` and not committed yet."""

    store: PostgresStore
    subject: str

    def __post_init__(self) -> None:
        self.begun, self.may_end = asyncio.Event(), asyncio.Event()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async with self.store.begin() as unit:
            await unit.append(self.subject, 0, [goal(self.subject)])
            self.begun.set()
            await self.may_end.wait()

    async def end(self) -> None:
        self.may_end.set()
        await self.task


async def held(store: PostgresStore, subject: str) -> Held:
    found = Held(store, subject)
    await found.begun.wait()
    return found


async def waits_for_its_turn(postgres: PostgresMaker) -> None:
    """Until a statement of this database waits for a row that another transaction holds."""
    connection = await asyncpg.connect(postgres.dsn)
    try:
        async with asyncio.timeout(20):
            asked = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND application_name = $1"
            role = f"muniment_{postgres.schema('registry')}"
            while not await connection.fetchval(asked, role):  # noqa: ASYNC110 (of another process)
                await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def test_many_commands_at_once_leave_no_gap_and_lose_nothing(postgres: PostgresMaker):
    stores = [await postgres.store([GOALS]) for _ in range(2)]
    loops = [CommandLoop("registry", store) for store in stores]
    context = [Context("ada", AT, new_id()) for _ in range(120)]
    stated = await asyncio.gather(
        *(
            loops[number % 2].handle(Goals, f"goal/{number % 12}", StateGoal(f"{number % 12}", f"{number}?"), mine)
            for number, mine in enumerate(context)
        )
    )
    records = await stores[0].outbox(TOPIC, 0, 1_000)
    assert [record.offset for record in records] == list(range(120))
    times = [record.recorded for record in records]
    assert times == sorted(times)
    assert {events[0].id for events in stated} == {mine.event_id for mine in context}
    for number in range(12):
        assert [event.sequence for event in await load(stores[0], f"goal/{number}")] == list(range(1, 11))


async def test_fifty_commands_on_one_stream_all_come_through(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    loop = CommandLoop("registry", store)
    commands = [StateGoal("a", f"{number}?") for number in range(50)]
    await asyncio.gather(*(loop.handle(Goals, "goal/a", one, Context("ada", AT, new_id())) for one in commands))
    events = await load(store, "goal/a")
    assert [event.sequence for event in events] == list(range(1, 51))
    assert {event.data.question for event in events} == {one.question for one in commands}


async def test_of_two_that_decided_on_the_same_one_is_told(postgres: PostgresMaker):
    store = await postgres.store([GOALS])
    ended = await asyncio.gather(
        together(store, "goal/a", key="first"), together(store, "goal/a", key="second"), return_exceptions=True
    )
    assert sorted(type(one) for one in ended if one is not None) == [Conflict]
    assert len(await load(store, "goal/a")) == 1
    assert [await kept(store, "first"), await kept(store, "second")] == [
        None if isinstance(one, Conflict) else ANSWER for one in ended
    ]


async def test_one_that_cannot_be_kept_does_not_keep_the_others_from_it(postgres: PostgresMaker):
    store, other = await postgres.store([GOALS]), await postgres.store([GOALS])
    taken = await held(other, "goal/x")
    twice = goal("goal/b")
    group = [
        asyncio.create_task(together(store, "goal/w")),  # goes alone, and waits for the turn
        asyncio.create_task(together(store, "goal/a", twice)),
        asyncio.create_task(together(store, "goal/b", replace(twice, subject="goal/b"))),
        asyncio.create_task(together(store, "goal/c", expected=3)),
        asyncio.create_task(together(store, "goal/x")),
        asyncio.create_task(together(store, "goal/d", key="kept")),
    ]
    await waits_for_its_turn(postgres)
    await taken.end()
    ended = await asyncio.gather(*group, return_exceptions=True)
    assert [type(one) for one in ended] == [type(None), type(None), Conflict, Conflict, Conflict, type(None)]
    records = await store.outbox(TOPIC, 0, 100)
    assert [record.offset for record in records] == list(range(4))
    assert [key for key, _ in groupby(sorted(record.key for record in records))] == [
        "goal/a",
        "goal/d",
        "goal/w",
        "goal/x",
    ]
    assert await kept(store, "kept") == ANSWER


async def test_who_was_overtaken_while_waiting_for_the_turn_is_told(postgres: PostgresMaker):
    store, other = await postgres.store([GOALS]), await postgres.store([GOALS])
    taken = await held(other, "goal/x")
    late = asyncio.create_task(together(store, "goal/x", key="late"))
    await waits_for_its_turn(postgres)
    await taken.end()
    with pytest.raises(Conflict):
        await late
    assert len(await load(store, "goal/x")) == 1
    assert await kept(store, "late") is None


async def test_a_unit_that_does_more_writes_by_itself_all_or_nothing(postgres: PostgresMaker):
    store = await postgres.store([GOALS])
    async with store.begin(together=True) as unit:
        await unit.append("goal/a", 0, [goal("goal/a")])
        await unit.keep_idempotency("key", ANSWER)
        await unit.apply([Put("goals", ROW)])
        assert [event.sequence for event in await unit.load("goal/a")] == [1]
    assert (await kept(store, "key"), len(await load(store, "goal/a"))) == (ANSWER, 1)
    with pytest.raises(Conflict):  # noqa: PT012
        async with store.begin(together=True) as unit:
            await unit.append("goal/a", 0, [goal("goal/a")])
            await unit.apply([Put("goals", ROW | {"name": "lost"})])
    assert await store.get("goals", "lost") is None
    async with store.begin(together=True) as unit:
        await unit.append("goal/a", 1, [goal("goal/a")])
        with pytest.raises(Conflict):
            await unit.append("goal/a", 1, [goal("goal/a")])
    assert len(await load(store, "goal/a")) == 2


async def test_a_key_is_held_until_its_answer_is_kept(postgres: PostgresMaker):
    store, other = await postgres.store([GOALS]), await postgres.store([GOALS])
    taken = await held(other, "goal/x")
    writing = asyncio.create_task(together(store, "goal/a", key="key"))
    await waits_for_its_turn(postgres)
    with pytest.raises(InFlight):
        await kept(other, "key")
    await taken.end()
    await writing
    assert await kept(other, "key") == ANSWER


async def test_more_that_wait_than_there_are_connections(postgres: PostgresMaker):
    store, other = await postgres.store([GOALS]), await postgres.store([GOALS])
    taken = await held(other, "goal/x")
    writing = [asyncio.create_task(together(store, f"goal/{n}", key=f"{n}")) for n in range(30)]
    await waits_for_its_turn(postgres)
    await taken.end()
    await asyncio.wait_for(asyncio.gather(*writing), 30)
    assert len(await store.outbox(TOPIC, 0, 100)) == 31


async def test_a_server_that_went_away_is_told_and_found_again(postgres: PostgresMaker):
    store, other = await postgres.store([GOALS]), await postgres.store([GOALS])
    taken = await held(other, "goal/x")
    lost = asyncio.create_task(together(store, "goal/a"))
    await waits_for_its_turn(postgres)
    connection = await asyncpg.connect(postgres.dsn)
    await connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    await connection.close()
    with pytest.raises(StoreUnavailable):
        await lost
    await taken.end()
    await together(store, "goal/a")
    assert len(await load(store, "goal/a")) == 1


async def test_what_waits_at_the_close_is_written_first(postgres: PostgresMaker):
    store, other = await postgres.store([GOALS]), await postgres.store([GOALS])
    writing = [asyncio.create_task(together(store, f"goal/{n}")) for n in range(5)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await store.close()
    assert await asyncio.gather(*writing) == [None] * 5
    await append(other, "goal/after", 0)
    assert len(await other.outbox(TOPIC, 0, 100)) == 6


async def test_many_that_read_at_once_each_get_what_they_asked_for(postgres: PostgresMaker):
    store = await postgres.store([GOALS])
    for number in range(1, 8):
        await append(store, f"goal/{number}", 0, *(goal(f"goal/{number}") for _ in range(number)))

    async def read(number: int, after: int) -> list[tuple[str, int]]:
        async with store.begin(together=True) as unit:
            found = await unit.load_many({"goal/7": after, f"goal/{number}": after, "goal/none": 0})
        return [(event.subject, event.sequence) for event in found]

    asked = [(number, after) for after in range(4) for number in range(1, 7)] * 3
    for (number, after), found in zip(asked, await asyncio.gather(*(read(*one) for one in asked)), strict=True):
        wanted = [(f"goal/{number}", place) for place in range(after + 1, number + 1)]
        assert found == wanted + [("goal/7", place) for place in range(after + 1, 8)]


async def test_who_leaves_while_others_read_takes_nothing_from_them(postgres: PostgresMaker):
    store = await postgres.store([GOALS])
    await append(store, "goal/a", 0, goal("goal/a"))

    async def read() -> int:
        async with store.begin(together=True) as unit:
            return len(await unit.load("goal/a"))

    reading = [asyncio.create_task(read()) for _ in range(9)]
    await asyncio.sleep(0)
    for task in reading[::3]:
        task.cancel()
    answers = await asyncio.wait_for(asyncio.gather(*reading, return_exceptions=True), 30)
    assert [answer for place, answer in enumerate(answers) if place % 3] == [1] * 6
    assert await read() == 1
