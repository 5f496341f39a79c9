"""What a schema was made of last, so that a start beside a system that runs changes nothing and waits for nobody.

Even `ADD COLUMN IF NOT EXISTS` locks its table against everybody until the set-up ends, and a transaction that holds
one table and waits for the next would wait for the set-up as the set-up waits for it.
"""

from hashlib import blake2b

from shared.log.postgres.connection import Connection
from shared.log.postgres.ddl import quoted


async def define(connection: Connection, schema: str, ddl: str) -> bool:
    """Run `ddl` in the caller's transaction, unless it is what was run in this schema last; whether it was run."""
    name = quoted(schema)
    table = await connection.fetchval("SELECT to_regclass($1)", f"{name}.defined")
    if table and await connection.fetchval(f"SELECT digest FROM {name}.defined") == _digest(ddl):
        return False
    await connection.execute(ddl + defined_sql(schema, ddl))
    return True


def defined_sql(schema: str, ddl: str) -> str:
    """The SQL that remembers that `ddl` was run."""
    name = quoted(schema)
    return f"""
CREATE TABLE IF NOT EXISTS {name}.defined (one boolean PRIMARY KEY CHECK (one), digest text NOT NULL);
INSERT INTO {name}.defined VALUES (true, '{_digest(ddl)}') ON CONFLICT (one) DO UPDATE SET digest = excluded.digest;
"""


def undefined_sql(schema: str) -> str:
    """The SQL that lets the next set-up run all anew."""
    return f"DELETE FROM {quoted(schema)}.defined;\n"


def _digest(ddl: str) -> str:
    return blake2b(ddl.encode(), digest_size=16).hexdigest()
