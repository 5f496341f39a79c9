"""Connections: a pool with our codecs, and which errors mean that the database is away."""

import asyncio
from collections.abc import Generator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, Protocol

import asyncpg  # pyright: ignore[reportMissingTypeStubs]
import orjson

from shared.log.postgres.values import json_bytes

_asyncpg: Any = asyncpg  # its own types are partial

CLOSE_SECONDS = 5.0
POOL_SIZE = 10
CONNECT_SECONDS = 10
IDLE_SECONDS = 300
"""How long a transaction may stand still before the server ends it: who has left must not hold rows for ever."""

_AWAY = (
    OSError,
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.TransactionRollbackError,  # serialization failures and deadlocks: whole again after another try
)


class Executor(Protocol):
    """What a connection and a pool of them both do; asyncpg's own types are partial."""

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> str: ...

    async def executemany(self, command: str, args: Iterable[Any]) -> None: ...

    async def fetch(self, query: str, *args: Any) -> list[Any]: ...

    async def fetchrow(self, query: str, *args: Any) -> Any: ...

    async def fetchval(self, query: str, *args: Any) -> Any: ...

    async def copy_records_to_table(
        self, table_name: str, *, schema_name: str, columns: Sequence[str], records: Iterable[Any]
    ) -> str: ...


class Connection(Executor, Protocol):
    def transaction(self) -> AbstractAsyncContextManager[object]: ...

    async def add_listener(self, channel: str, callback: Any) -> None: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


class Pool(Executor, Protocol):
    def acquire(self) -> AbstractAsyncContextManager[Connection]: ...

    async def close(self) -> None: ...

    def terminate(self) -> None: ...


class Plain(asyncpg.Connection):
    """A connection that keeps no session state, so that giving it back to the pool costs no round trip."""

    def get_reset_query(self) -> str:
        return ""


@contextmanager
def unavailable_as(error_type: type[Exception]) -> Generator[None, None, None]:
    """Turn errors of the connection and the server's absence into `error_type`; errors of the data stay theirs."""
    try:
        yield
    except _AWAY as error:
        if isinstance(error, ValueError):  # asyncpg's DataError is an InterfaceError too
            raise
        raise error_type(f"{type(error).__name__}: {error}") from error


async def connect(dsn: str, role: str | None = None) -> Connection:
    """One connection outside of any pool."""
    return await _asyncpg.connect(dsn, timeout=CONNECT_SECONDS, **_session(role))


async def open_pool(dsn: str, role: str | None = None, size: int = POOL_SIZE) -> Pool:
    """At most `size` connections, of which one is opened now; they work as `role`."""
    return await _asyncpg.create_pool(
        dsn, min_size=1, max_size=size, init=_prepare, timeout=CONNECT_SECONDS, **_session(role)
    )


def _session(role: str | None) -> dict[str, Any]:
    settings = {
        "jit": "off",
        "application_name": role or "muniment",
        "idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s",
    }
    if role:
        settings["role"] = role
    return {"server_settings": settings, "connection_class": Plain, "statement_cache_size": 500}


async def _prepare(connection: Any) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=_dump, decoder=_load, format="binary")


def _dump(value: Any) -> bytes:
    return b"\x01" + json_bytes(value)  # version 1 of the binary form


def _load(data: bytes) -> Any:
    return orjson.loads(memoryview(data)[1:])


async def close_pool(pool: Pool) -> None:
    """Close a pool; connections that are still in use after CLOSE_SECONDS are cut."""
    try:
        await asyncio.wait_for(pool.close(), CLOSE_SECONDS)
    except TimeoutError:
        pool.terminate()
