"""Reads of the tree: checkpoints, tiles, which record is which leaf, and the proofs that follow."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import orjson

from services.audit.domain import merkle, tiles
from services.audit.domain.merkle import Range
from services.audit.domain.tiles import Tile
from services.audit.projection.tree import tile_key, tile_of
from shared.log.tables import Query, Row, Where, enough, equal
from shared.runtime.problems import Problem

PAGE = 5_000


class Finder(Protocol):
    """A store, or a unit of work."""

    async def get(self, table: str, *key: Any) -> Row | None: ...

    async def find(self, query: Query) -> list[Row]: ...


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf of the tree and the ledger's row of it."""

    index: int
    row: Row

    @property
    def entry(self) -> bytes:
        """The bytes that were hashed."""
        return self.row["entry"].encode()


@dataclass(frozen=True, slots=True)
class TreeReader:
    """The tree as a store or a unit of work shows it."""

    finder: Finder

    async def newest(self) -> Row | None:
        """The newest checkpoint's row."""
        rows = await self.finder.find(Query("checkpoints", order=("-sequence",), limit=1))
        return rows[0] if rows else None

    async def of_size(self, size: int) -> Row | None:
        """The checkpoint of this size."""
        rows = await self.finder.find(Query("checkpoints", equal(size=size), limit=1))
        return rows[0] if rows else None

    async def near(self, size: int) -> list[int]:
        """Sizes of checkpoints around this one."""
        columns = ("sequence", "size")
        rows = await self.finder.find(Query("checkpoints", (Where("size", ">", size),), ("size",), 3, columns=columns))
        where = (Where("sequence", "<", rows[0]["sequence"]),) if rows else ()
        rows += await self.finder.find(Query("checkpoints", where, ("-sequence",), 3, columns=columns))
        return sorted(row["size"] for row in rows)

    async def tiles(self, wanted: Collection[Tile]) -> dict[Tile, bytes]:
        """The hashes of these tiles; those that are not there are left out."""
        if not wanted:
            return {}
        keys = sorted(map(tile_key, wanted))
        rows = await self.finder.find(Query("tree_tiles", (Where("tile", "in", keys),), limit=enough(len(keys))))
        return {tile_of(row["tile"]): row["hashes"] for row in rows}

    async def roots(self, ranges: Sequence[Range]) -> list[bytes]:
        """The root over each range. Raises Problem 410 where tiles are lost."""
        kept = await self.tiles(tiles.needed(ranges))
        try:
            return [tiles.range_root(one, kept) for one in ranges]
        except (KeyError, ValueError) as error:
            fix = "Run a verification; it tells what else is lost. A rebuild of the views makes the tree anew."
            raise Problem(410, "tree-damaged", f"The tree lacks hashes that it signed: {error}.", fix) from error

    async def inclusion(self, index: int, size: int) -> list[bytes]:
        """The proof that a leaf is in the tree of this size. Raises ValueError where it is not."""
        return await self.roots(merkle.inclusion_ranges(index, size))

    async def consistency(self, old: int, new: int) -> list[bytes]:
        """The proof that the tree of `new` leaves continues that of `old` leaves. Raises ValueError."""
        return await self.roots(merkle.consistency_ranges(old, new))

    async def index_of(self, row: Row) -> int | None:
        """Which leaf a ledger row is; None where no checkpoint covers it yet."""
        where = (*equal(topic=row["topic"], partition=row["partition"]), Where("end", ">", row["offset"]))
        runs = await self.finder.find(Query("tree_runs", where, ("end",), 1))
        if not runs or row["offset"] < runs[0]["begin"]:
            return None
        return runs[0]["first"] + row["offset"] - runs[0]["begin"]

    async def runs(self, leaves: Range, limit: int = PAGE) -> list[Row]:
        """The runs that hold these leaves, in the order of the tree, as many as `limit`, cut to the leaves."""
        before = Query("tree_runs", (Where("first", "<=", leaves.start),), ("-first",), 1)
        within = (Where("first", ">", leaves.start), Where("first", "<", leaves.end))
        found = await self.finder.find(before) if leaves.start < leaves.end else []
        found += await self.finder.find(Query("tree_runs", within, ("first",), limit))
        return [cut for run in found[:limit] if (cut := _cut(run, leaves))]

    async def leaves(self, wanted: Range, columns: tuple[str, ...] = ()) -> list[Leaf]:
        """These leaves with their ledger rows (all columns, or `offset` and others), in order; a row that the ledger
        lacks is left out."""
        found: list[Leaf] = []
        for run in await self.runs(wanted):
            count = run["end"] - run["begin"]
            where = (*equal(topic=run["topic"], partition=run["partition"]), Where("offset", ">=", run["begin"]))
            where += (Where("offset", "<", run["end"]),)
            rows = await self.finder.find(Query("ledger", where, ("offset",), count, columns=columns))
            found += [Leaf(run["first"] + row["offset"] - run["begin"], row) for row in rows]
        return found

    async def cosignatures(self, size: int) -> list[str]:
        """The signature lines of the witnesses of the checkpoint of this size, as stated."""
        where = equal(node=f"checkpoint/{size}", type="CheckpointCosigned")
        rows = await self.finder.find(Query("ledger", where, ("time",), 100, columns=("event_id", "time", "entry")))
        return [data_of(row)["signature"] for row in rows]

    async def keys(self) -> list[dict[str, Any]]:
        """Every signing key on record, the oldest first, each with its time and event."""
        columns = ("event_id", "sequence", "time", "entry")
        query = Query("ledger", equal(type="SigningKeyAdopted"), ("time",), 1_000, columns=columns)
        rows = sorted(await self.finder.find(query), key=lambda row: row["sequence"])
        return [{**data_of(row), "event_id": row["event_id"], "time": row["time"]} for row in rows]


def data_of(row: Row) -> dict[str, Any]:
    """The data of a ledger row's event."""
    return orjson.loads(row["entry"])["data"]


def _cut(run: Row, leaves: Range) -> Row | None:
    """The part of a run that lies within these leaves."""
    end = run["first"] + run["end"] - run["begin"]
    first, last = max(run["first"], leaves.start), min(end, leaves.end)
    if first >= last:
        return None
    begin = run["begin"] + first - run["first"]
    return {**run, "first": first, "begin": begin, "end": begin + last - first}
