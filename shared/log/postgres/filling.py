"""Who fills the views of a schema alone, as a rebuild does: held by a session, so that it is free however that ends."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from shared.log.postgres.connection import Executor, connect, unavailable_as
from shared.log.postgres.ddl import number
from shared.log.store import InUse, StoreUnavailable

TRIES, PAUSE_SECONDS = 20, 0.05
"""Who asks whether it is held holds it for a moment."""


@asynccontextmanager
async def filling(dsn: str, role: str | None, schema: str) -> AsyncGenerator[None, None]:
    """Hold it while the block runs. Raises InUse, StoreUnavailable."""
    with unavailable_as(StoreUnavailable):
        connection = await connect(dsn, role)
    try:
        for _ in range(TRIES):
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", _number(schema)):
                break
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            raise InUse(f"the views of {schema} are being filled already")
        yield
        await connection.execute("SELECT pg_advisory_unlock($1)", _number(schema))  # by the time that this returns
    finally:
        connection.terminate()


async def is_filled(executor: Executor, schema: str) -> bool:
    """Whether somebody holds it."""
    return not await executor.fetchval("SELECT pg_try_advisory_xact_lock_shared($1)", _number(schema))


def _number(schema: str) -> int:
    return number(schema, "filled")
