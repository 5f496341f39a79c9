"""Any slice of the archive with its outcomes, as Parquet or lines of JSON in a stream, or page by page."""

# pyright: reportAttributeAccessIssue=false

import io
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import AsyncIterator
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from services.monitor.archive.blocks import BATCH, ROW
from services.monitor.archive.files import in_thread
from services.monitor.archive.reading import PLACE, Archive, Piece, Place
from services.monitor.archive.slices import OUTCOME, OWN, Slice, answered, chosen, fitted, item, schema_of
from services.monitor.domain.outcomes import decode
from shared.log.store import Store
from shared.log.tables import Query, Row, Where
from shared.runtime.problems import Problem

CHUNK = 1_000
GROUP_ROWS = 65_536
MAX_CURSOR = 1_000
_START = Place()


@dataclass(slots=True)
class Exporting:
    """Reads the archive for those who ask. Nothing is kept in memory but one piece, and rows up to GROUP_ROWS."""

    store: Store
    archive: Archive

    async def tables(self, wanted: Slice, start: Place = _START) -> AsyncIterator[tuple[Piece, pa.Table]]:
        """(piece, its wanted rows with its own columns and what came true of each)."""
        async for piece in self.archive.pieces(wanted.span, start):
            table = await self._first_of_own_ids(chosen(piece.table, wanted))
            if table.num_rows:
                table = _of_outcome(_with(table, await self._outcomes(table)), wanted.outcome)
            if table.num_rows:
                yield piece, table

    async def parquet(self, wanted: Slice) -> AsyncIterator[bytes]:
        """A Parquet file (zstd), part by part; its columns are told by `schema_of`. Raises Problem before the first."""
        schema = schema_of(await self.archive.schemas(wanted.span))
        sink = _Sink()
        writer = pq.ParquetWriter(pa.PythonFile(sink, mode="w"), schema, compression="zstd")
        waiting: list[pa.Table] = []
        async for piece, table in self.tables(wanted):
            waiting.append(fitted(_given(piece, table), schema))
            if sum(one.num_rows for one in waiting) >= GROUP_ROWS:
                await in_thread(writer.write_table, pa.concat_tables(waiting))
                waiting = []
                yield sink.taken()
        if waiting:
            await in_thread(writer.write_table, pa.concat_tables(waiting))
        await in_thread(writer.close)
        yield sink.taken()

    async def ndjson(self, wanted: Slice) -> AsyncIterator[bytes]:
        """One JSON object a line."""
        async for piece, table in self.tables(wanted):
            yield await in_thread(_lines, _given(piece, table))

    async def page(self, wanted: Slice, cursor: str | None, limit: int) -> dict[str, Any]:
        """`{"items", "next"}`, blocks in the order in which they were written, then what is not yet in one. What
        arrives while someone goes from page to page may be among them or not; nothing comes twice."""
        items: list[dict[str, Any]] = []
        behind: Place | None = None
        tables = self.tables(wanted, _decoded(cursor))
        try:
            async for piece, table in tables:
                places = table.column(PLACE).to_pylist()
                for row, place in zip(_given(piece, table).to_pylist(), places, strict=True):
                    if behind is not None and len(items) == limit:
                        return {"items": items, "next": _encoded(behind)}
                    items.append(item(row))
                    behind = piece.behind(place)
        finally:
            await tables.aclose()  # type: ignore[attr-defined]
        return {"items": items, "next": None}

    async def _outcomes(self, table: pa.Table) -> dict[str, pa.Array]:
        """What came true of each row, null where nothing is known."""
        names = pc.dictionary_encode(table.column(BATCH).combine_chunks())
        codes, rows = names.indices.to_numpy(), table.column(ROW).to_numpy()
        values, at = np.full(len(rows), np.nan), np.zeros(len(rows), np.int64)
        listed = names.dictionary.to_pylist()
        found = {row["batch"]: decode(row["truth"]) for row in await self._all("truths", "batch", listed)}
        for code, name in enumerate(listed):
            truth = found.get(name)
            if truth is not None:
                mine = codes == code
                values[mine], at[mine] = truth.values[rows[mine]], truth.at[rows[mine]]
        unknown = np.isnan(values)
        return {
            "outcome": pa.array(values, OUTCOME["outcome"], mask=unknown),
            "outcome_at": pa.array(at, pa.int64(), mask=unknown).cast(OUTCOME["outcome_at"]),
        }

    async def _first_of_own_ids(self, table: pa.Table) -> pa.Table:
        """Without the rows whose own id had named another prediction before: those were the same ones, sent again."""
        if OWN not in table.schema.names or not table.num_rows:
            return table
        names = table.column(OWN).to_pylist()
        first = {row[OWN]: (row["batch"], row["row"]) for row in await self._all("prediction_ids", OWN, names)}
        places = zip(names, table.column(BATCH).to_pylist(), table.column(ROW).to_pylist(), strict=True)
        return table.filter(pa.array([first.get(name, (batch, row)) == (batch, row) for name, batch, row in places]))

    async def _all(self, table: str, column: str, values: list[str]) -> list[Row]:
        found: list[Row] = []
        for place in range(0, len(values), CHUNK):
            where = (Where(column, "in", values[place : place + CHUNK]),)
            found += await self.store.find(Query(table, where, limit=CHUNK))
        return found


class _Sink(io.RawIOBase):
    """Keeps what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        part = bytes(data)
        self._parts.append(part)
        self._place += len(part)
        return len(part)

    def tell(self) -> int:
        return self._place

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _with(table: pa.Table, outcomes: dict[str, pa.Array]) -> pa.Table:
    for name, column in outcomes.items():
        table = table.append_column(name, column)
    return table


def _given(piece: Piece, table: pa.Table) -> pa.Table:
    outcomes = {name: table.column(name) for name in OUTCOME}
    rest = table.drop_columns([*OUTCOME, PLACE])
    return answered(rest, piece.deployment, piece.version, outcomes)


def _lines(table: pa.Table) -> bytes:
    options = orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
    return b"".join(orjson.dumps(item(row), option=options) for row in table.to_pylist())


def _of_outcome(table: pa.Table, outcome: str) -> pa.Table:
    if outcome == "any":
        return table
    known = table.column("outcome").is_valid()
    return table.filter(known if outcome == "known" else pc.invert(known))


def _encoded(place: Place) -> str:
    return urlsafe_b64encode(orjson.dumps(astuple(place))).decode().rstrip("=")


def _decoded(cursor: str | None) -> Place:
    if cursor is None:
        return _START
    try:
        if len(cursor) > MAX_CURSOR:
            raise ValueError(cursor)
        block, position, young, row = orjson.loads(urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        numbers = all(type(one) is int and 0 <= one < 2**31 for one in (position, row))
        if not (isinstance(block, str) and isinstance(young, str) and numbers):
            raise ValueError(cursor)
    except (ValueError, TypeError) as error:
        fix = "Start again without a cursor."
        raise Problem(422, "bad-cursor", "The cursor is not one that this list gave.", fix) from error
    return Place(block, position, young, row)
