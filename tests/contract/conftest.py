"""Stores and logs of every adapter, made alike."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from typing import Any
from uuid import uuid4

import pytest

from shared.log.log import EventLog
from shared.log.memory import MemoryLog, MemoryStore
from shared.log.store import Store
from shared.log.tables import Table
from tests.contract.adapters import LOGS, PAIRS, STORES

StoreFactory = Callable[..., Awaitable[Store]]
LogFactory = Callable[..., Awaitable[EventLog]]


def _params(names: Sequence[Any]) -> list[Any]:
    return [pytest.param(name, marks=[pytest.mark.kafka] if "kafka" in name else []) for name in names]


def _stores(kind: str, request: pytest.FixtureRequest) -> StoreFactory:
    if kind == "postgres":
        return request.getfixturevalue("postgres").store
    if kind == "postgres-together":
        postgres = request.getfixturevalue("postgres")

        async def together(tables: Sequence[Table] = (), name: str = "registry") -> Store:
            store = await postgres.store(tables, name)
            store.begin = partial(store.begin, together=True)
            return store

        return together

    async def make(tables: Sequence[Table] = (), name: str = "registry") -> Store:
        return MemoryStore(name, tables)

    return make


def _logs(kind: str, request: pytest.FixtureRequest) -> LogFactory:
    """Makes an open log that holds `topics`, empty, with one partition each."""
    if kind == "postgres":
        postgres = request.getfixturevalue("postgres")

        async def on_postgres(*topics: str) -> EventLog:
            return await postgres.log()

        return on_postgres
    closing: list[Any] = request.getfixturevalue("closing")
    on_kafka = request.getfixturevalue("kafka_log_factory") if kind == "kafka" else None

    async def make(*topics: str) -> EventLog:
        if on_kafka is None:
            return MemoryLog()
        closing.append(await on_kafka(1, topics))
        return closing[-1]

    return make


@pytest.fixture
async def closing() -> AsyncIterator[list[Any]]:
    """What is put here is closed at the end of the test."""
    opened: list[Any] = []
    yield opened
    for one in reversed(opened):
        await one.close()


@pytest.fixture
def topic() -> str:
    """A topic that no other test uses."""
    return f"test.{uuid4().hex}"


@pytest.fixture(params=_params(STORES))
def store_factory(request: pytest.FixtureRequest) -> StoreFactory:
    """Makes an empty store: `await store_factory(tables, name)`."""
    return _stores(request.param, request)


@pytest.fixture(params=_params(LOGS))
def log_factory(request: pytest.FixtureRequest) -> LogFactory:
    return _logs(request.param, request)


@pytest.fixture(params=_params(PAIRS), ids="-".join)
def pair_factories(request: pytest.FixtureRequest) -> tuple[StoreFactory, LogFactory]:
    """A factory of stores and one of logs that are used together."""
    store, log = request.param
    return _stores(store, request), _logs(log, request)
