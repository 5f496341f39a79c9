"""Any query: PostgreSQL answers what plain Python would."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from uuid import uuid4

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.log.memory import MemoryStore
from shared.log.postgres_store import PostgresStore
from shared.log.tables import Comparison, Delete, Each, Put, Query, Row, Table, Where, cursor_of

AT = datetime(2013, 4, 1, tzinfo=UTC)
TABLE = Table(
    "things",
    ("group", "id"),
    {
        "group": "text",
        "id": "integer",
        "name": "text",
        "weight": "double",
        "open": "boolean",
        "at": "timestamp",
        "facts": "json",
    },
    (("name", "at"),),
)
TEXTS = st.text("aBbé€\U0001f600'%_\\ {,}\"\U0010ffff", max_size=3)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "group": st.sampled_from(["a", "B", "é"]),
    "id": st.integers(0, 5),
    "name": TEXTS,
    "weight": st.sampled_from([-1.5, -0.0, 0.0, 0.1, 1e300, float("inf")]),
    "open": st.booleans(),
    "at": st.integers(0, 3).map(lambda microseconds: AT + timedelta(microseconds=microseconds)),
}
FACTS = st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | TEXTS, lambda inner: st.lists(inner, max_size=2))
ROWS = st.fixed_dictionaries(
    {name: VALUES[name] for name in TABLE.key},
    optional={name: st.none() | VALUES[name] for name in ("name", "weight", "open", "at")} | {"facts": FACTS},
)
CHANGES = st.lists(
    ROWS.map(lambda row: Put("things", row))
    | st.fixed_dictionaries({name: VALUES[name] for name in TABLE.key}).map(lambda key: Delete("things", key)),
    max_size=30,
)


@st.composite
def wheres(draw: st.DrawFn) -> Where:
    column = draw(st.sampled_from(list(VALUES)))
    operator = draw(st.sampled_from(["=", "!=", "<", "<=", ">", ">=", "in", "prefix"]))
    if operator == "prefix":
        return Where(draw(st.sampled_from(["group", "name"])), "prefix", draw(TEXTS))
    if operator == "in":
        return Where(column, "in", draw(st.lists(VALUES[column], max_size=3)))
    return Where(column, operator, draw(st.none() | VALUES[column]))


QUERIES = st.builds(
    Query,
    st.just("things"),
    st.lists(wheres(), max_size=2).map(tuple),
    st.lists(
        st.builds(str.__add__, st.sampled_from(["", "-"]), st.sampled_from(list(VALUES))), max_size=3, unique=True
    ).map(tuple),
    st.integers(1, 7),
)


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def on_postgres(postgres_dsn: str, runner: asyncio.Runner) -> Iterator[PostgresStore]:
    schema = f"find_{uuid4().hex[:12]}"
    store = PostgresStore(postgres_dsn, schema, [TABLE])
    runner.run(store.setup())
    yield store
    runner.run(store.close())
    runner.run(_drop(postgres_dsn, schema))


async def _drop(dsn: str, schema: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(f'DROP SCHEMA "{schema}" CASCADE; DROP ROLE "muniment_{schema}"')
    await connection.close()


async def pages(store: Any, query: Query) -> list[list[Row]]:
    """Every page of a query, by its cursor."""
    found: list[list[Row]] = []
    while page := await store.find(query):
        found.append(page)
        assert len(found) < 60, "paging never ends"
        query = replace(query, after=cursor_of(TABLE, query, page[-1]))
    return found


@given(st.lists(CHANGES, max_size=3), st.lists(QUERIES, min_size=1, max_size=4))
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_the_answer_is_that_of_plain_python(
    on_postgres: PostgresStore, runner: asyncio.Runner, batches: list[list[Put | Delete]], queries: list[Query]
):
    async def check() -> None:
        in_memory = MemoryStore("find", [TABLE])
        await on_postgres.clear_views("none")
        for store in (in_memory, on_postgres):
            for changes in batches:
                async with store.begin() as unit:
                    await unit.apply(changes)
        for query in queries:
            assert await pages(on_postgres, query) == await pages(in_memory, query)

    runner.run(check())


@st.composite
def eaches(draw: st.DrawFn) -> Each:
    columns = draw(st.lists(st.sampled_from([*VALUES]), min_size=1, max_size=4, unique=True))
    compared = st.sampled_from(get_args(Comparison))
    terms: tuple[tuple[str, Comparison], ...] = tuple((column, draw(compared)) for column in columns)
    own = draw(st.integers(1, len(columns)))
    groups = draw(st.lists(st.tuples(*(VALUES[column] for column in columns[:own])), max_size=4))
    if own == len(columns):
        return Each(terms, tuple(groups))
    further = draw(st.lists(st.tuples(*(VALUES[column] for column in columns[own:])), min_size=1, max_size=3))
    return Each(terms[:own], tuple(groups), (terms[own:], tuple(further)))


@given(CHANGES, QUERIES, eaches())
@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_query_asked_for_each_group_answers_as_asked_one_by_one(
    on_postgres: PostgresStore, runner: asyncio.Runner, changes: list[Put | Delete], query: Query, each: Each
):
    async def check() -> None:
        await on_postgres.clear_views("none")
        async with on_postgres.begin() as unit:
            await unit.apply(changes)
        alone: list[Row] = []
        for group in each.all_groups:
            terms = (Where(*term, value) for term, value in zip(each.all_terms, group, strict=True))
            alone += await on_postgres.find(replace(query, where=(*query.where, *terms)))
        assert await on_postgres.find(replace(query, each=each)) == alone

    runner.run(check())


@given(CHANGES, QUERIES, eaches(), st.sampled_from(["group", "id"]))
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
def test_a_column_told_apart_answers_the_first_row_of_each_of_its_values(
    on_postgres: PostgresStore, runner: asyncio.Runner, changes: list[Put | Delete], query: Query, each: Each, name: str
):
    order = (name, *(one for one in query.order if one.removeprefix("-") != name))
    asked = replace(query, each=each, order=order, apart=name)
    in_memory = MemoryStore("find", [TABLE])

    async def check() -> None:
        await on_postgres.clear_views("none")
        for store in (on_postgres, in_memory):
            async with store.begin() as unit:
                await unit.apply(changes)
        expected: list[Row] = []
        for group in each.all_groups:
            terms = (Where(*term, value) for term, value in zip(each.all_terms, group, strict=True))
            whole = replace(query, where=(*query.where, *terms), order=order, limit=1_000, columns=())
            first: dict[Any, Row] = {}
            for row in await on_postgres.find(whole):
                first.setdefault(row[name], row)
            expected += [*first.values()][: query.limit]
        shown = query.columns or tuple(TABLE.columns)
        told = [{column: row[column] for column in shown} for row in expected]
        assert await on_postgres.find(asked) == told
        assert await in_memory.find(asked) == told

    runner.run(check())


def test_memory_asks_for_each_group_too():
    store = MemoryStore("find", [TABLE])

    async def check() -> None:
        async with store.begin() as unit:
            await unit.apply([Put("things", {"group": group, "id": id_}) for group in "ab" for id_ in range(3)])
        newest = Query("things", order=("-id",), limit=2, each=Each((("group", "="),), (("b",), ("c",), ("a",))))
        found = [(row["group"], row["id"]) for row in await store.find(newest)]
        assert found == [("b", 2), ("b", 1), ("a", 2), ("a", 1)]

    asyncio.run(check())
