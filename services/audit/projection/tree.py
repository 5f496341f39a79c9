"""The Merkle tree's tables, as a pure fold of signed checkpoints and the leaves that they cover.

All are rebuilt from the log: a `CheckpointSigned` names its leaves by their places, the ledger knows their hashes.
Hashes lie in tiles (C2SP tlog-tiles), so ten million leaves are 40,000 rows of 8 KiB, and a proof reads a handful.
"""

from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from services.audit.domain.tiles import Tile
from shared.events.audit import CheckpointSigned
from shared.log.tables import Change, Delete, Put, Row, Table

CHECKPOINTS = Table(
    "checkpoints",
    ("sequence",),
    {
        "sequence": "bigint",
        "size": "bigint",
        "previous": "bigint",
        "root": "bytes",
        "note": "text",
        "key_id": "text",
        "event_id": "text",
        "time": "timestamp",
    },
    indexes=(("size",), ("event_id",)),
)
"""Every checkpoint, by its place in the stream of checkpoints; `note` as signed."""

RUNS = Table(
    "tree_runs",
    ("first",),
    {"first": "bigint", "topic": "text", "partition": "integer", "begin": "bigint", "end": "bigint", "size": "bigint"},
    indexes=(("topic", "partition", "end"),),
)
"""Which records are which leaves: leaf `first` + n is the record at offset `begin` + n of the partition, before `end`.
`size`: of the checkpoint that covered them."""

TILES = Table(
    "tree_tiles",
    ("tile",),
    {"tile": "bigint", "hashes": "bytes"},
)
"""The hashes, by `tile_key`; a partial tile grows until it is 256 wide, and never changes what it holds."""

COVERED = Table(
    "tree_covered",
    ("topic", "partition"),
    {"topic": "text", "partition": "integer", "offset": "bigint"},
)
"""The offset before which each partition is covered by the newest checkpoint."""

HOLES = Table(
    "tree_holes",
    ("topic", "partition", "offset"),
    {"topic": "text", "partition": "integer", "offset": "bigint"},
)
"""Covered offsets without a leaf: of a record that came twice, or one that waited among the dead letters. Should such
a letter be applied later, it gets a leaf then."""

PUBLISHED = Table(
    "tree_published",
    ("target",),
    {"target": "text", "size": "bigint", "at": "timestamp", "problem": "text"},
    work=True,
)
"""How far each place outside has got."""

_NUMBER_BITS = 56

TREE = (CHECKPOINTS, RUNS, TILES, COVERED, HOLES)
TABLES = (*TREE, PUBLISHED)


@dataclass(frozen=True, slots=True)
class Stated:
    """A signed checkpoint as the log has it."""

    data: CheckpointSigned
    event_id: str
    sequence: int
    time: datetime


def checkpoint_rows(stated: Stated, covered: Mapping[tuple[str, int], int]) -> list[Change]:
    """What a checkpoint comes to, but for its tiles. `covered`: the offsets of COVERED before it."""
    data = stated.data
    row: Row = {
        "sequence": stated.sequence,
        "size": data.size,
        "previous": data.previous,
        "root": b64decode(data.root),
        "note": data.note,
        "key_id": data.key_id,
        "event_id": stated.event_id,
        "time": stated.time,
    }
    changes: list[Change] = [Put(CHECKPOINTS.name, row)]
    first = data.previous
    for run in data.runs:
        place: Row = {"topic": run.topic, "partition": run.partition}
        changes.append(Put(RUNS.name, {"first": first, **place, "begin": run.begin, "end": run.end, "size": data.size}))
        if run.begin < covered.get((run.topic, run.partition), 0):
            changes += [Delete(HOLES.name, {**place, "offset": offset}) for offset in range(run.begin, run.end)]
        first += run.end - run.begin
    changes += [
        Put(COVERED.name, {"topic": one.topic, "partition": one.partition, "offset": one.offset})
        for one in data.offsets
    ]
    return changes + [Put(HOLES.name, hole) for hole in holes(data, covered)]


def holes(data: CheckpointSigned, covered: Mapping[tuple[str, int], int]) -> list[Row]:
    """The offsets that a checkpoint passes over."""
    found: list[Row] = []
    for place in data.offsets:
        at = covered.get((place.topic, place.partition), 0)
        runs = [run for run in data.runs if (run.topic, run.partition) == (place.topic, place.partition)]
        for run in [run for run in runs if run.begin >= at]:
            found += _hole_rows(place.topic, place.partition, range(at, run.begin))
            at = run.end
        found += _hole_rows(place.topic, place.partition, range(at, place.offset))
    return found


def tile_rows(changed: Mapping[Tile, bytes]) -> list[Change]:
    """The rows of new or longer tiles."""
    return [Put(TILES.name, {"tile": tile_key(tile), "hashes": hashes}) for tile, hashes in changed.items()]


def tile_key(tile: Tile) -> int:
    """One number for a tile, so that one question finds several."""
    return tile.level << _NUMBER_BITS | tile.number


def tile_of(key: int) -> Tile:
    return Tile(key >> _NUMBER_BITS, key & (1 << _NUMBER_BITS) - 1)


def _hole_rows(topic: str, partition: int, offsets: Sequence[int]) -> list[Row]:
    return [{"topic": topic, "partition": partition, "offset": offset} for offset in offsets]
