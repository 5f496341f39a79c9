"""One schema and one role per service: nobody reads another's, but readers of the log read the tables of events."""

from shared.log.postgres.connection import Connection
from shared.log.postgres.ddl import number, quoted

PREFIX = "muniment_"
READER = f"{PREFIX}log_reader"


async def prepare_schema(connection: Connection, schema: str, reads_events: bool = False) -> str | None:
    """Create the schema and, where we may create roles, its owner; returns the role to work as, None for our own.

    `reads_events`: the owner may read every service's events.
    Runs in the caller's transaction and keeps other set-ups waiting until its end.
    """
    await connection.execute("SELECT pg_advisory_xact_lock($1)", number("muniment", "setup"))
    may_create = await connection.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    if not may_create:
        await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)}")
        return None
    role = PREFIX + schema
    for name in (role, READER):
        if not await connection.fetchval("SELECT true FROM pg_roles WHERE rolname = $1", name):
            await connection.execute(f"CREATE ROLE {quoted(name)} NOLOGIN")
    await connection.execute(f"CREATE SCHEMA IF NOT EXISTS {quoted(schema)} AUTHORIZATION {quoted(role)}")
    if reads_events:
        await connection.execute(f"GRANT {quoted(READER)} TO {quoted(role)}")
    await connection.execute(f"SET LOCAL ROLE {quoted(role)}")
    return role


async def let_log_read(connection: Connection, schema: str) -> None:
    """Let readers of the log read a service's table of events, and nothing else of it."""
    name, reader = quoted(schema), quoted(READER)
    await connection.execute(f"GRANT USAGE ON SCHEMA {name} TO {reader}; GRANT SELECT ON {name}.events TO {reader}")
