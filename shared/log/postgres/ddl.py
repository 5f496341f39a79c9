"""The SQL that creates what a service keeps, from its declared tables. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

from shared.log.tables import ColumnType, Table

SQL_TYPES: dict[ColumnType, str] = {
    "text": "text",
    "integer": "bigint",
    "bigint": "bigint",
    "double": "double precision",
    "boolean": "boolean",
    "timestamp": "timestamptz",
    "json": "jsonb",
    "bytes": "bytea",
}

RECORD_COLUMNS = """topic text COLLATE "C" NOT NULL, "offset" bigint NOT NULL, key text COLLATE "C" NOT NULL,
    headers bytea NOT NULL, value bytea NOT NULL, recorded timestamptz NOT NULL"""


@lru_cache(maxsize=4_096)
def quoted(name: str) -> str:
    """An identifier as SQL."""
    return '"' + name.replace('"', '""') + '"'


def number(*names: str) -> int:
    """A signed 64-bit number that stands for these names in advisory locks."""
    digest = blake2b("\x1f".join(names).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


def store_ddl(schema: str) -> str:
    """Streams, place in the log, dead letters and idempotency records of one service."""
    s = quoted(schema)
    return f"""
CREATE TABLE IF NOT EXISTS {s}.events ({RECORD_COLUMNS}, id text COLLATE "C" NOT NULL UNIQUE,
    sequence bigint NOT NULL, PRIMARY KEY (topic, "offset"), UNIQUE (key, sequence));
ALTER TABLE {s}.events ALTER COLUMN value SET STORAGE EXTERNAL;
CREATE TABLE IF NOT EXISTS {s}.turn (one boolean PRIMARY KEY CHECK (one), recorded timestamptz NOT NULL)
    WITH (fillfactor = 10);
INSERT INTO {s}.turn VALUES (true, '-infinity') ON CONFLICT DO NOTHING;
CREATE TABLE IF NOT EXISTS {s}.relayed (topic text COLLATE "C" PRIMARY KEY, next_offset bigint NOT NULL);
CREATE TABLE IF NOT EXISTS {s}.claims (consumer text COLLATE "C", topic text COLLATE "C", partition integer,
    epoch bigint NOT NULL, next_offset bigint NOT NULL, PRIMARY KEY (consumer, topic, partition));
CREATE TABLE IF NOT EXISTS {s}.heads (consumer text COLLATE "C", subject text COLLATE "C", sequence bigint NOT NULL,
    PRIMARY KEY (consumer, subject));
CREATE TABLE IF NOT EXISTS {s}.seen (event_id text COLLATE "C" PRIMARY KEY,
    position bigint GENERATED ALWAYS AS IDENTITY);
CREATE INDEX IF NOT EXISTS seen_by_position ON {s}.seen (position);
CREATE TABLE IF NOT EXISTS {s}.dead_letters (consumer text COLLATE "C" NOT NULL, {RECORD_COLUMNS},
    partition integer NOT NULL, reason text NOT NULL, at timestamptz NOT NULL,
    PRIMARY KEY (consumer, topic, partition, "offset"));
CREATE TABLE IF NOT EXISTS {s}.idempotency (key text COLLATE "C" PRIMARY KEY, digest text NOT NULL,
    status integer NOT NULL, body bytea NOT NULL, kept_at timestamptz NOT NULL DEFAULT now());
CREATE INDEX IF NOT EXISTS idempotency_by_age ON {s}.idempotency (kept_at);
"""


def log_ddl(schema: str) -> str:
    """Topics that are published directly: one row of `heads` per topic hands out its offsets."""
    s = quoted(schema)
    return f"""
CREATE TABLE IF NOT EXISTS {s}.heads (topic text COLLATE "C" PRIMARY KEY, next_offset bigint NOT NULL,
    recorded timestamptz NOT NULL) WITH (fillfactor = 10);
CREATE TABLE IF NOT EXISTS {s}.records ({RECORD_COLUMNS}, PRIMARY KEY (topic, "offset"));
ALTER TABLE {s}.records ALTER COLUMN value SET STORAGE EXTERNAL;
"""


def tables_ddl(schema: str, tables: Sequence[Table]) -> str:
    """Every view; a column or an index declared later is added to a table that exists."""
    return "\n".join(statement for table in tables for statement in _table_ddl(schema, table))


def indexes_ddl(schema: str, tables: Sequence[Table]) -> list[str]:
    """The indexes of views beside their keys, a statement each."""
    return [_index_ddl(schema, table, columns) for table in tables for columns in table.indexes]


def no_indexes_ddl(schema: str, tables: Sequence[Table]) -> str:
    """Drop them."""
    return "\n".join(
        f"DROP INDEX IF EXISTS {quoted(schema)}.{quoted(_index_name(table, columns))};"
        for table in tables
        for columns in table.indexes
    )


def view_name(table: str) -> str:
    """The name of a view's table, apart from those of the store itself."""
    return f"view_{table}"


def _table_ddl(schema: str, table: Table) -> list[str]:
    name = f"{quoted(schema)}.{quoted(view_name(table.name))}"
    keys = ", ".join(f"{_column(column, table)} NOT NULL" for column in table.key)
    primary = ", ".join(map(quoted, table.key))
    parted = f" PARTITION BY HASH ({primary})" if table.hashed else ""
    statements = [f"CREATE TABLE IF NOT EXISTS {name} ({keys}, PRIMARY KEY ({primary})){parted};"]
    statements += _parts_ddl(schema, table) if table.hashed else []
    statements += [
        f"ALTER TABLE {name} ADD COLUMN IF NOT EXISTS {_column(column, table)};"
        for column in table.columns
        if column not in table.key
    ]
    return [*statements, *(_index_ddl(schema, table, columns) for columns in table.indexes)]


def _parts_ddl(schema: str, table: Table) -> list[str]:
    """The parts of a hashed table; one that was made whole before it was hashed stays whole."""
    whole = f"{quoted(schema)}.{quoted(view_name(table.name))}"
    parts = " ".join(
        f"CREATE TABLE IF NOT EXISTS {quoted(schema)}.{quoted(f'{view_name(table.name)}_{part}')} PARTITION OF {whole} "
        f"FOR VALUES WITH (MODULUS {table.hashed}, REMAINDER {part});"
        for part in range(table.hashed)
    )
    relation = whole.replace("'", "''")
    parted = f"(SELECT relkind FROM pg_class WHERE oid = '{relation}'::regclass) = 'p'"
    return [f"DO $parts$ BEGIN IF {parted} THEN {parts} END IF; END $parts$;"]


def _index_ddl(schema: str, table: Table, columns: tuple[str, ...]) -> str:
    name, listed = quoted(_index_name(table, columns)), ", ".join(map(quoted, columns))
    return f"CREATE INDEX IF NOT EXISTS {name} ON {quoted(schema)}.{quoted(view_name(table.name))} ({listed});"


def _column(column: str, table: Table) -> str:
    kind = SQL_TYPES[table.columns[column]]
    return f"{quoted(column)} {kind}" + (' COLLATE "C"' if kind == "text" else "")


def _index_name(table: Table, columns: Sequence[str]) -> str:
    name = f"{table.name}_by_{'_'.join(columns)}"
    return name if len(name.encode()) < 64 else f"{name[:40]}_{number(name) & 0xFFFF_FFFF:08x}"
