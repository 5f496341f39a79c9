"""What every store must do with views: in memory and on PostgreSQL."""

from dataclasses import replace
from typing import Any

import pytest

from shared.log.store import Fenced
from shared.log.tables import Delete, DuplicateKey, Insert, Put, Query, Where, cursor_of, equal
from tests.contract.conftest import StoreFactory
from tests.contract.facts import GOALS, PLACE, ROW, append, apply, goal, letter, load, timeless


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
    assert timeless(*await load(store, "goal/a\x00b")) == timeless(event)


async def test_clear_views_starts_a_rebuild(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    claim = (await store.claim("views", [PLACE]))[PLACE]
    async with store.begin() as unit:
        await unit.apply([Put("goals", ROW)])
        await unit.set_heads("views", {"goal/warn": 3})
        await unit.set_heads("other", {"goal/warn": 2})
        await unit.park([letter("views", 0)])
        (claim,) = await unit.advance("views", {claim: 4})
    await append(store, "goal/warn", 0)
    await store.clear_views("views")
    assert await store.find(Query("goals")) == []
    assert (await store.offsets()).get(("views", PLACE), 0) == 0
    with pytest.raises(Fenced):
        async with store.begin() as unit:
            await unit.advance("views", {claim: 5})
    async with store.begin() as unit:
        assert await unit.heads("views", ["goal/warn"]) == {}
        assert await unit.heads("other", ["goal/warn"]) == {"goal/warn": 2}
        assert await unit.parked_keys("views") == set(), "or the rebuild would park what the first run applied"
    assert len(await load(store, "goal/warn")) == 1


async def test_a_rebuild_leaves_what_stays(store_factory: StoreFactory):
    """What the log would not give again, such as a webhook that waits."""
    store = await store_factory([GOALS, replace(GOALS, name="waiting", indexes=(), work=True, stays=True)])
    await apply(store, Put("goals", ROW), Put("waiting", ROW))
    await store.clear_views("views")
    assert (await store.find(Query("goals")), len(await store.find(Query("waiting")))) == ([], 1)


async def test_a_large_change_set_lands_whole(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, *(Put("goals", {"name": f"g{n % 700}", "rank": n}) for n in range(2000)))
    rows = await store.find(Query("goals", limit=1000))
    assert len(rows) == 700
    assert {row["rank"] for row in rows} == set(range(1300, 2000))


async def test_setting_up_again_keeps_everything(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", ROW))
    await store.setup()
    assert await store.get("goals", "warn") == ROW


async def test_new_rows_come_in_columns_beside_other_changes(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    new = Insert("goals", {"name": ["warn", "x\x00y"], "rank": [1, 2], "facts": [{"a": ["\x00"]}, None]})
    later = Put("goals", {"name": "warn", "size": 2})
    await apply(store, Put("goals", {"name": "old"}), new, later, Delete("goals", {"name": "old"}))
    rows = await store.find(Query("goals", order=("rank",)))
    assert [(row["rank"], row["size"], row["facts"] is None) for row in rows] == [(1, 2, False), (2, None, True)]


@pytest.mark.parametrize("names", [["warn"], ["new", "new"]], ids=["there already", "twice"])
async def test_an_insert_of_a_row_that_is_there_fails_whole(store_factory: StoreFactory, names: list[str]):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", ROW))
    with pytest.raises(DuplicateKey):
        await apply(store, Put("goals", {"name": "x"}), Insert("goals", {"name": names}))
    assert [row["name"] for row in await store.find(Query("goals"))] == ["warn"]


@pytest.mark.parametrize("columns", [{"rank": [1]}, {"name": [None]}, {"name": ["x"], "nonsense": [1]}], ids=str)
async def test_an_insert_needs_keys_and_known_columns(store_factory: StoreFactory, columns: dict[str, list[Any]]):
    store = await store_factory([GOALS])
    with pytest.raises(ValueError, match="insert into goals"):
        await apply(store, Insert("goals", columns))


async def test_views_that_are_loaded_answer_as_before_and_after(store_factory: StoreFactory):
    store = await store_factory([GOALS])
    await apply(store, Put("goals", {"name": "a", "rank": 2}))
    async with store.loading(["goals"]):
        await apply(store, Insert("goals", {"name": ["b"], "rank": [1]}))
        assert [row["name"] for row in await store.find(Query("goals", order=("rank",)))] == ["b", "a"]
    assert [row["name"] for row in await store.find(Query("goals", order=("rank",)))] == ["b", "a"]


async def test_a_table_in_parts_is_one_to_whoever_uses_it(store_factory: StoreFactory):
    table = replace(GOALS, name="parted", hashed=4, indexes=())
    for _ in range(2):  # made once, found again
        store = await store_factory([table])
    await apply(store, *(Put("parted", {"name": f"g{n:02}", "rank": n}) for n in range(20)))
    await apply(store, Put("parted", {"name": "g03", "rank": 99}), Delete("parted", {"name": "g04"}))
    await apply(store, Insert("parted", {"name": ["h1", "h2"], "rank": [1, 2]}))
    names = [f"g{n:02}" for n in range(20) if n != 4] + ["h1", "h2"]
    assert [row["name"] for row in await store.find(Query("parted"))] == names
    found = await store.get("parted", "g03")
    assert found is not None
    assert found["rank"] == 99
    with pytest.raises(DuplicateKey):
        await apply(store, Insert("parted", {"name": ["h1"], "rank": [3]}))
    await store.clear_views("any")
    assert await store.find(Query("parted")) == []
