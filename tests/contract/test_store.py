"""What every store must do: in memory and on PostgreSQL."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.events.codec import decode, encode
from shared.events.envelope import Event
from shared.events.registry import DatasetRegistered, GoalStated
from shared.log.records import Record, TopicPartition
from shared.log.store import Conflict, DeadLetter, Fenced, IdempotencyRecord, InFlight, Store
from shared.log.tables import Delete, Put, Query, Table, Where, cursor_of, equal
from shared.runtime.commands import new_id
from tests.contract.conftest import StoreFactory

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


async def append(store: Store, subject: str, expected: int | None, *events: Event) -> list[Event]:
    async with store.begin() as unit:
        return await unit.append(subject, expected, events or [goal(subject)])


async def apply(store: Store, *changes: Put | Delete) -> None:
    async with store.begin() as unit:
        await unit.apply(changes)


async def load(store: Store, subject: str, after: int = 0) -> list[Event]:
    async with store.begin() as unit:
        return await unit.load(subject, after)


# Streams


async def test_a_stream_gives_back_what_was_appended(store_factory: StoreFactory):
    store = await store_factory()
    first, second = await append(store, "goal/warn", 0, goal(), goal(question="Why?"))
    third = (await append(store, "goal/warn", 2))[0]
    assert [event.sequence for event in (first, second, third)] == [1, 2, 3]
    assert await load(store, "goal/warn") == [first, second, third]
    assert await load(store, "goal/warn", after=2) == [third]
    assert await load(store, "goal/other") == []
    assert first.recorded is not None
    assert abs(first.recorded - datetime.now(UTC)) < timedelta(minutes=1)


@pytest.mark.parametrize("expected", [0, 2, 7])
async def test_an_append_behind_another_sequence_is_a_conflict(store_factory: StoreFactory, expected: int):
    store = await store_factory()
    await append(store, "goal/warn", 0)
    with pytest.raises(Conflict):
        await append(store, "goal/warn", expected)
    assert len(await load(store, "goal/warn")) == 1
    assert len(await store.outbox(TOPIC, 0, 10)) == 1


async def test_an_append_without_expectation_goes_behind_the_last(store_factory: StoreFactory):
    store = await store_factory()
    await append(store, "goal/warn", None)
    assert (await append(store, "goal/warn", None))[0].sequence == 2


async def test_a_unit_sees_its_own_appends_and_may_append_again(store_factory: StoreFactory):
    store = await store_factory()
    async with store.begin() as unit:
        await unit.append("goal/warn", 0, [goal()])
        assert [event.sequence for event in await unit.load("goal/warn")] == [1]
        await unit.append("goal/warn", 1, [goal()])
        assert unit.appended == {"goal/warn"}
    assert [event.sequence for event in await load(store, "goal/warn")] == [1, 2]


async def test_a_unit_that_fails_leaves_no_trace(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    claim = (await store.claim("views", [PLACE]))[PLACE]
    with pytest.raises(KeyError):  # noqa: PT012
        async with store.begin() as unit:
            await unit.append("goal/warn", 0, [goal()])
            await unit.apply([Put("goals", ROW)])
            await unit.advance("views", claim, 5)
            await unit.keep_idempotency("k", IdempotencyRecord("d", 201, b"{}"))
            raise KeyError("boom")
    assert await load(store, "goal/warn") == []
    assert await store.outbox(TOPIC, 0, 10) == []
    assert await store.get("goals", "warn") is None
    assert (await store.offsets()) == {("views", PLACE): 0}
    async with store.begin() as unit:
        assert await unit.idempotency("k") is None


async def test_of_many_writers_with_one_expectation_one_wins(store_factory: StoreFactory):
    store = await store_factory()
    results = await asyncio.gather(*(append(store, "goal/warn", 0) for _ in range(8)), return_exceptions=True)
    assert sum(isinstance(result, list) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 7
    assert len(await store.outbox(TOPIC, 0, 100)) == 1


# The outbox: positions, bytes, order


async def test_the_outbox_holds_the_very_bytes_in_append_order(store_factory: StoreFactory):
    store = await store_factory()
    events = [*await append(store, "goal/a", 0, goal("goal/a"), goal("goal/a")), *await append(store, "goal/b", 0)]
    records = await store.outbox(TOPIC, 0, 10)
    assert [record.offset for record in records] == [0, 1, 2]
    assert [record.key for record in records] == ["goal/a", "goal/a", "goal/b"]
    assert [(record.headers, record.value) for record in records] == [
        (encode(event).headers, encode(event).value) for event in events
    ]
    assert [decode(record) for record in records] == events
    assert await store.outbox(TOPIC, 2, 10) == records[2:]
    assert await store.outbox(TOPIC, 0, 2) == records[:2]
    assert await store.outbox("muniment.joined", 0, 10) == []


async def test_record_times_never_run_backwards(store_factory: StoreFactory):
    store = await store_factory()
    await asyncio.gather(*(append(store, f"goal/{number}", 0) for number in range(20)))
    times = [record.recorded for record in await store.outbox(TOPIC, 0, 100)]
    assert len(times) == 20
    assert times == sorted(times)


async def test_no_reader_skips_a_position_that_commits_last(store_factory: StoreFactory):
    """Two units append at once and the first holds its transaction open: nothing behind it may show before it."""
    store = await store_factory()
    first_appended, first_may_commit = asyncio.Event(), asyncio.Event()

    async def first() -> None:
        async with store.begin() as unit:
            await unit.append("goal/first", 0, [goal("goal/first")])
            first_appended.set()
            await first_may_commit.wait()

    async def reader() -> list[tuple[int, str]]:
        read: list[tuple[int, str]] = []
        while len(read) < 2:
            position = read[-1][0] + 1 if read else 0
            read += [(record.offset, record.key) for record in await store.outbox(TOPIC, position, 1)]
            await asyncio.sleep(0)
        return read

    slow = asyncio.create_task(first())
    await first_appended.wait()
    reading = asyncio.create_task(reader())
    quick = asyncio.create_task(append(store, "goal/second", 0))
    await asyncio.wait([quick], timeout=0.2)  # long enough to commit, were it allowed to
    assert await store.outbox(TOPIC, 0, 10) == []
    first_may_commit.set()
    await asyncio.gather(slow, quick)
    assert await asyncio.wait_for(reading, 10) == [(0, "goal/first"), (1, "goal/second")]


async def test_a_position_given_back_is_taken_again(store_factory: StoreFactory):
    store = await store_factory()
    with pytest.raises(KeyError):  # noqa: PT012
        async with store.begin() as unit:
            await unit.append("goal/lost", 0, [goal("goal/lost")])
            raise KeyError
    await append(store, "goal/kept", 0)
    assert [(it.offset, it.key) for it in await store.outbox(TOPIC, 0, 10)] == [(0, "goal/kept")]


async def test_what_is_relayed_is_remembered(store_factory: StoreFactory):
    store = await store_factory()
    assert await store.relayed(TOPIC) == 0
    await append(store, "goal/a", 0, goal("goal/a"), goal("goal/a"), goal("goal/a"))
    assert await store.relay_lag([TOPIC, "muniment.joined"]) == 3
    await store.set_relayed(TOPIC, 2)
    assert await store.relayed(TOPIC) == 2
    assert await store.relay_lag([TOPIC]) == 1


async def test_one_relay_works_at_a_time(store_factory: StoreFactory):
    store = await store_factory()
    order: list[str] = []
    entered = asyncio.Event()

    async def second() -> None:
        async with store.relaying():
            order.append("second")

    async with store.relaying():
        waiting = asyncio.create_task(second())
        entered.set()
        await asyncio.wait([waiting], timeout=0.1)
        order.append("first")
    await asyncio.wait_for(waiting, 10)
    assert order == ["first", "second"]


async def test_an_append_wakes_the_relay(store_factory: StoreFactory):
    store = await store_factory()
    await store.wait_appended(0.05)
    waiting = asyncio.create_task(store.wait_appended(30))
    await asyncio.wait([waiting], timeout=0.05)
    await append(store, "goal/a", 0)
    await asyncio.wait_for(waiting, 5)


# Views


async def test_every_type_of_column_comes_back_as_it_went(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", ROW), Put("goals", {"name": "bare"}))
    assert await store.get("goals", "warn") == ROW
    assert await store.get("goals", "bare") == {**dict.fromkeys(GOALS.columns), "name": "bare"}
    assert await store.get("goals", "none") is None


@pytest.mark.parametrize(
    "facts",
    [
        [],
        [1, 2],
        [[1], [2, 3]],
        {},
        {"a": ["\\u0000", "\\\\u0000"]},
        "text",
        "",
        0,
        False,
        1.5,
        [None, {"b": []}],
        "null",
    ],
    ids=repr,
)
async def test_any_json_comes_back_beside_other_json(store_factory: StoreFactory, facts: Any):
    store = await store_factory([GOALS])
    given: list[Any] = [facts, None, [1, 2, 3], {"c": 1}]
    await apply(store, *(Put("goals", {"name": f"g{n}", "facts": value}) for n, value in enumerate(given)))
    assert [row["facts"] for row in await store.find(Query("goals"))] == given


async def test_a_put_sets_just_its_columns(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", ROW))
    await apply(store, Put("goals", {"name": "warn", "rank": 9, "at": None}))
    assert await store.get("goals", "warn") == {**ROW, "rank": 9, "at": None}


BATCHES: list[tuple[str, list[Put | Delete], Any]] = [
    (
        "later puts add to earlier ones",
        [Put("goals", {"name": "x", "rank": 1}), Put("goals", {"name": "x", "size": 2})],
        (1, 2),
    ),
    (
        "the last put of a column stays",
        [Put("goals", {"name": "x", "rank": 1}), Put("goals", {"name": "x", "rank": 2})],
        (2, 5),
    ),
    (
        "a delete undoes what came before",
        [Put("goals", {"name": "x", "rank": 1}), Delete("goals", {"name": "x"})],
        None,
    ),
    (
        "a put behind a delete starts afresh",
        [Delete("goals", {"name": "x"}), Put("goals", {"name": "x", "rank": 3})],
        (3, None),
    ),
    (
        "and so does one after a put and a delete",
        [
            Put("goals", {"name": "x", "size": 9}),
            Delete("goals", {"name": "x"}),
            Put("goals", {"name": "x", "rank": 3}),
        ],
        (3, None),
    ),
]


@pytest.mark.parametrize(("changes", "expected"), [case[1:] for case in BATCHES], ids=[case[0] for case in BATCHES])
async def test_changes_of_one_row_in_one_batch_keep_their_order(
    store_factory: StoreFactory, changes: list[Put | Delete], expected: Any
):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", {"name": "x", "rank": 5, "size": 5}), Put("goals", {"name": "y", "rank": 6}))
    await apply(store, *changes)
    row = await store.get("goals", "x")
    if expected is None:
        assert row is None
    else:
        assert row is not None
        assert (row["rank"], row["size"]) == expected
    other = await store.get("goals", "y")
    assert other is not None
    assert other["rank"] == 6


@pytest.mark.parametrize(
    "change",
    [
        Put("goals", {"name": "x", "colour": "red"}),
        Put("goals", {"rank": 1}),
        Put("goals", {"name": None}),
        Delete("goals", {"rank": 1}),
    ],
)
async def test_a_change_that_fits_no_table_is_refused(store_factory: StoreFactory, change: Put | Delete):
    store = await store_factory([GOALS])
    with pytest.raises(ValueError, match="change of goals"):
        await apply(store, change)


async def test_a_unit_sees_its_own_changes_and_nobody_else_does(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    async with store.begin() as unit:
        await unit.apply([Put("goals", ROW)])
        assert await unit.get("goals", "warn") == ROW
        assert await unit.find(Query("goals", equal(rank=1), columns=("name",))) == [{"name": "warn"}]
        assert await store.get("goals", "warn") is None
    assert await store.get("goals", "warn") == ROW


async def test_find_filters_orders_and_pages(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, *(Put("goals", {"name": f"g{n}", "rank": n % 3 if n % 4 else None}) for n in range(12)))
    query = Query("goals", order=("-rank",), limit=5, columns=("name", "rank"))
    rows, page = [], await store.find(query)
    while page:
        rows += [row["name"] for row in page]
        page = await store.find(replace(query, after=cursor_of(GOALS, query, page[-1])))
    assert rows == ["g11", "g2", "g5", "g1", "g10", "g7", "g3", "g6", "g9", "g0", "g4", "g8"]
    assert len(await store.find(Query("goals", (Where("rank", "=", None),)))) == 3
    assert len(await store.find(Query("goals", (Where("rank", "!=", 1),)))) == 6
    assert len(await store.find(Query("goals", (Where("rank", "in", [0, 2]),)))) == 6
    assert [row["name"] for row in await store.find(Query("goals", (Where("name", "prefix", "g1"),)))] == [
        "g1",
        "g10",
        "g11",
    ]


async def test_odd_characters_and_huge_numbers_are_asked_for_without_harm(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", {"name": "o'x\"%_\\", "rank": 1, "facts": {"a": "'"}}))
    assert await store.get("goals", "o'x\"%_\\") is not None
    assert [row["rank"] for row in await store.find(Query("goals", (Where("name", "prefix", "o'x\"%_"),)))] == [1]
    assert await store.get("goals", "a\x00b") is None
    assert await store.find(Query("goals", equal(rank=10**30))) == []
    assert await load(store, "goal/\x00") == []
    assert not await store.wait_seen("\x00", 0.01)


async def test_a_text_with_nul_can_be_kept_and_found_again(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", {"name": "a\x00b", "facts": {"a": "x\x00y"}}))
    row = await store.get("goals", "a\x00b")
    assert row is not None
    event = (await append(store, "goal/a\x00b", 0, goal("goal/a\x00b")))[0]
    assert await load(store, "goal/a\x00b") == [event]


async def test_clear_views_starts_a_rebuild(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    claim = (await store.claim("views", [PLACE]))[PLACE]
    async with store.begin() as unit:
        await unit.apply([Put("goals", ROW)])
        await unit.set_heads("views", {"goal/warn": 3})
        await unit.set_heads("other", {"goal/warn": 2})
        await unit.park([letter("views", 0)])
        claim = await unit.advance("views", claim, 4)
    await append(store, "goal/warn", 0)
    await store.clear_views("views")
    assert await store.find(Query("goals")) == []
    assert (await store.offsets()).get(("views", PLACE), 0) == 0
    with pytest.raises(Fenced):
        async with store.begin() as unit:
            await unit.advance("views", claim, 5)
    async with store.begin() as unit:
        assert await unit.heads("views", ["goal/warn"]) == {}
        assert await unit.heads("other", ["goal/warn"]) == {"goal/warn": 2}
        assert await unit.parked_keys("views") == set(), "or the rebuild would park what the first run applied"
    assert len(await load(store, "goal/warn")) == 1


# Claims, heads, marks


async def test_a_newer_claim_fences_the_older_owner(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    old = (await store.claim("views", [PLACE]))[PLACE]
    async with store.begin() as unit:
        old = await unit.advance("views", old, 3)
    new = (await store.claim("views", [PLACE]))[PLACE]
    assert new.next_offset == 3
    with pytest.raises(Fenced):  # noqa: PT012
        async with store.begin() as unit:
            await unit.apply([Put("goals", ROW)])
            await unit.advance("views", old, 4)
    assert await store.get("goals", "warn") is None
    async with store.begin() as unit:
        await unit.advance("views", new, 5)
    assert await store.offsets() == {("views", PLACE): 5}


async def test_the_same_step_is_taken_once(store_factory: StoreFactory):
    store = await store_factory()
    claim = (await store.claim("views", [PLACE]))[PLACE]
    async with store.begin() as unit:
        await unit.advance("views", claim, 1)
    with pytest.raises(Fenced):
        async with store.begin() as unit:
            await unit.advance("views", claim, 1)


async def test_claims_are_by_consumer_and_partition(store_factory: StoreFactory):
    store = await store_factory()
    other = TopicPartition(TOPIC, 1)
    claims = await store.claim("views", [other, PLACE])
    await store.claim("more", [PLACE])
    async with store.begin() as unit:
        await unit.advance("views", claims[PLACE], 2)
        await unit.advance("views", claims[other], 7)
    assert await store.offsets() == {("views", PLACE): 2, ("views", other): 7, ("more", PLACE): 0}


async def test_heads_are_kept_per_consumer(store_factory: StoreFactory):
    store = await store_factory()
    async with store.begin() as unit:
        await unit.set_heads("views", {"a": 1, "b": 2})
        await unit.set_heads("views", {"b": 3})
    async with store.begin() as unit:
        assert await unit.heads("views", ["a", "b", "c"]) == {"a": 1, "b": 3}
        assert await unit.heads("more", ["a"]) == {}


async def test_who_waits_for_an_event_is_told_when_views_hold_it(store_factory: StoreFactory):
    store = await store_factory()
    ids = [new_id(), new_id()]
    assert not await store.wait_seen(ids[0], 0.01)
    waiting = asyncio.create_task(store.wait_seen(ids[1], 30))
    await asyncio.wait([waiting], timeout=0.05)
    async with store.begin() as unit:
        await unit.mark_seen("views", ids)
        await unit.mark_seen("more", ids)
    assert await asyncio.wait_for(waiting, 5)
    assert await store.wait_seen(ids[0], 0.01)


# Dead letters


def letter(consumer: str, offset: int, key: str = "goal/warn", reason: str = "why") -> DeadLetter:
    record = Record(TOPIC, 0, offset, key, (("ce_id", b"\x00\xff"), ("ce_id", b"2")), b"\x00body", AT)
    return DeadLetter(consumer, record, reason, AT)


async def test_dead_letters_are_kept_whole_and_in_order(store_factory: StoreFactory):
    store = await store_factory()
    letters = [letter("views", 2), letter("views", 0, "goal/b"), letter("more", 1)]
    async with store.begin() as unit:
        await unit.park(letters)
        await unit.park([letter("views", 2)])
    async with store.begin() as unit:
        assert await unit.dead_letters() == [letters[1], letters[2], letters[0]]
        assert await unit.dead_letters("views") == [letters[1], letters[0]]
        assert await unit.dead_letters("views", 1) == [letters[1]]
        assert await unit.parked_keys("views") == {(TOPIC, "goal/b"), (TOPIC, "goal/warn")}
    assert await store.waiting_dead_letters() == {"views": 2, "more": 1}
    async with store.begin() as unit:
        await unit.remove_dead_letter("views", PLACE, 0)
    async with store.begin() as unit:
        assert await unit.dead_letters("views") == [letters[0]]
        assert await unit.dead_letters("more") == [letters[2]]


# Idempotency and locks


async def test_an_answer_is_kept_for_its_key(store_factory: StoreFactory):
    store = await store_factory()
    record = IdempotencyRecord("digest", 201, b'{"id": 1}')
    async with store.begin() as unit:
        assert await unit.idempotency("k") is None
        await unit.keep_idempotency("k", record)
    async with store.begin() as unit:
        assert await unit.idempotency("k") == record
        assert await unit.idempotency("other") is None


async def test_a_key_in_use_is_in_flight(store_factory: StoreFactory):
    store = await store_factory()
    async with store.begin() as first:
        await first.idempotency("k")
        assert await first.idempotency("k") is None, "the same unit may ask again"
        with pytest.raises(InFlight):
            async with store.begin() as second:
                await second.idempotency("k")
        async with store.begin() as third:
            assert await third.idempotency("other") is None
    async with store.begin() as unit:
        assert await unit.idempotency("k") is None


async def test_two_units_never_hold_one_name(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    inside = most = 0

    async def worker(names: Sequence[str]) -> None:
        nonlocal inside, most
        async with store.begin() as unit:
            await unit.lock(names)
            inside += 1
            most = max(most, inside)
            await unit.get("goals", "x")
            await asyncio.sleep(0)
            inside -= 1

    both = [["a", "b"], ["b", "a"]] * 4
    await asyncio.wait_for(asyncio.gather(*map(worker, both)), 20)
    assert most == 1


async def test_setting_up_again_keeps_everything(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", ROW))
    await store.setup()
    assert await store.get("goals", "warn") == ROW


async def test_a_large_change_set_lands_whole(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, *(Put("goals", {"name": f"g{n % 700}", "rank": n}) for n in range(2000)))
    rows = await store.find(Query("goals", limit=1000))
    assert len(rows) == 700
    assert {row["rank"] for row in rows} == set(range(1300, 2000))


async def test_a_batch_of_datasets_in_several_streams(store_factory: StoreFactory):
    """One unit may append to several streams; their order in the outbox is that of the appends."""
    store = await store_factory()
    async with store.begin() as unit:
        for name in ("b", "a"):
            data = DatasetRegistered(dataset=name, version=1, uri="file:///x")
            await unit.append(
                f"dataset/{name}", 0, [Event(new_id(), "/muniment/registry", f"dataset/{name}", AT, 0, "ana", data)]
            )
    assert [record.key for record in await store.outbox(TOPIC, 0, 10)] == ["dataset/b", "dataset/a"]
