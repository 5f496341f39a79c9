"""Reads that are asked for one by one are made together, and none twice."""

import asyncio

import pytest

from services.audit.api.loading import Loader


def loader() -> tuple[Loader[str, str], list[list[str]]]:
    """One that answers in capitals, and the queries that it made."""
    queries: list[list[str]] = []

    async def load(keys: list[str]) -> dict[str, str]:
        queries.append(sorted(keys))
        return {key: key.upper() for key in keys}

    return Loader(load), queries


async def test_what_is_asked_for_at_once_is_one_query():
    given, queries = loader()
    first, second = await asyncio.gather(given.of(["b", "a"]), given.of(["a", "c"]))
    assert (first, second) == ({"b": "B", "a": "A"}, {"a": "A", "c": "C"})
    assert list(first) == ["b", "a"]
    assert queries == [["a", "b", "c"]]


async def test_what_was_read_is_not_read_again():
    given, queries = loader()
    await given.of(["a"])
    assert await given.of(["a", "b"]) == {"a": "A", "b": "B"}
    assert await given.of([]) == {}
    assert queries == [["a"], ["b"]]


async def test_an_error_reaches_everybody_who_asked():
    async def load(keys: list[str]) -> dict[str, str]:
        raise ConnectionError("away")

    given = Loader(load)
    found = await asyncio.gather(given.of(["a"]), given.of(["b"]), return_exceptions=True)
    assert [type(one) for one in found] == [ConnectionError, ConnectionError]
    with pytest.raises(ConnectionError):
        await given.of(["a"])
