"""The keyring in a PostgreSQL schema of its own, or in another database: opened at the first use, cached nowhere.

Keys are asked for anew each time, so that one destroyed by any process is gone for all of them at once. After a key was
destroyed the table is vacuumed, so that its bytes do not stay behind in a dead row; what backups and the write-ahead
log still hold of it lives as long as they do (docs/erasure.md).
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

import structlog

from shared.keyring.keyring import KEY_BYTES, Destroyed, KeyringUnavailable, SubjectKey, blinded, new_key
from shared.log.postgres.connection import Pool, close_pool, connect, open_pool, unavailable_as
from shared.log.postgres.roles import prepare_schema

logger = structlog.get_logger()

SCHEMA = "keyring"
POOL_SIZE = 4
ATTEMPTS = 5
_DDL = """
CREATE TABLE IF NOT EXISTS keyring.secrets (name text PRIMARY KEY, secret bytea NOT NULL);
CREATE TABLE IF NOT EXISTS keyring.subjects (
    handle text PRIMARY KEY, token text NOT NULL UNIQUE, key bytea NOT NULL, made timestamptz NOT NULL DEFAULT now());
CREATE TABLE IF NOT EXISTS keyring.destroyed (token text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now());
"""
_MAKE = """
INSERT INTO keyring.subjects (handle, token, key)
SELECT * FROM unnest($1::text[], $2::text[], $3::bytea[]) AS made (handle, token, key) ORDER BY handle
ON CONFLICT (handle) DO NOTHING
"""
_DESTROY = """
WITH gone AS (DELETE FROM keyring.subjects WHERE token = $1 RETURNING token)
INSERT INTO keyring.destroyed (token) SELECT token FROM gone ON CONFLICT DO NOTHING RETURNING token
"""


class PostgresKeyring:
    """See `shared.keyring.keyring.Keyring`."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._pool: Pool | None = None
        self._secret = b""
        self._opening = asyncio.Lock()

    async def keys(self, subjects: Sequence[str]) -> dict[str, SubjectKey]:
        async with self._opened() as pool:
            handles = {blinded(self._secret, subject): subject for subject in subjects}
            for _ in range(ATTEMPTS):  # one that was there may be destroyed between the two steps
                found = await _known(pool, list(handles))
                missing = sorted(handles.keys() - found.keys())
                if not missing:
                    return {subject: found[handle] for handle, subject in handles.items()}
                made = [new_key() for _ in missing]
                await pool.execute(_MAKE, missing, [one.token for one in made], [one.key for one in made])
        raise KeyringUnavailable("keys are destroyed as fast as they are made")

    async def token(self, subject: str) -> str | None:
        async with self._opened() as pool:
            handle = blinded(self._secret, subject)
            return await pool.fetchval("SELECT token FROM keyring.subjects WHERE handle = $1", handle)

    async def key(self, token: str) -> SubjectKey | Destroyed | None:
        async with self._opened() as pool:
            key = await pool.fetchval("SELECT key FROM keyring.subjects WHERE token = $1", token)
            if key is not None:
                return SubjectKey(token, key)
            at = await pool.fetchval("SELECT at FROM keyring.destroyed WHERE token = $1", token)
            return Destroyed(token, at) if at is not None else None

    async def destroy(self, token: str) -> bool:
        async with self._opened() as pool:
            if await pool.fetchval(_DESTROY, token) is None:
                return False
            try:
                await pool.execute("VACUUM keyring.subjects")
            except Exception as error:  # the key is gone all the same; autovacuum comes by later
                logger.warning("the keyring could not be vacuumed", error=type(error).__name__)
            return True

    async def blind(self, text: str) -> str:
        async with self._opened():
            return blinded(self._secret, text)

    async def close(self) -> None:
        if self._pool is not None:
            await close_pool(self._pool)
            self._pool = None

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[Pool, None]:
        with unavailable_as(KeyringUnavailable):
            async with self._opening:
                if self._pool is None:
                    self._pool = await self._open()
            yield self._pool

    async def _open(self) -> Pool:
        connection = await connect(self._dsn)
        try:
            async with connection.transaction():
                role = await prepare_schema(connection, SCHEMA)
                await connection.execute(_DDL)
                await connection.execute(
                    "INSERT INTO keyring.secrets VALUES ('handles', $1) ON CONFLICT DO NOTHING",
                    secrets.token_bytes(KEY_BYTES),
                )
                self._secret = await connection.fetchval("SELECT secret FROM keyring.secrets WHERE name = 'handles'")
        finally:
            await connection.close()
        return await open_pool(self._dsn, role, POOL_SIZE)


async def _known(pool: Pool, handles: list[str]) -> dict[str, SubjectKey]:
    rows = await pool.fetch("SELECT handle, token, key FROM keyring.subjects WHERE handle = ANY($1)", handles)
    return {row["handle"]: SubjectKey(row["token"], row["key"]) for row in rows}
