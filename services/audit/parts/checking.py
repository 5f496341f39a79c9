"""Cold parts checked: one as it was written, and all of them beside the tree, with the place of what was altered."""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable
from functools import partial
from itertools import pairwise

import orjson

from services.audit.domain import part as part_stream
from services.audit.domain import tiles
from services.audit.domain.merkle import Frontier, Range, leaf_hash
from services.audit.domain.tiles import HASH, WIDTH, Tile
from services.audit.parts.file import SCHEMA, NotAPart, PartFile
from services.audit.parts.place import Place
from services.audit.parts.reading import PartOutOfReach, named
from services.audit.projection.parts import PARTS, STATED, part_row
from services.audit.proofs.checking import TreeCheck
from services.audit.proofs.reading import TreeReader
from shared.events.audit import LedgerPartArchived, LogOffset
from shared.log.store import Store
from shared.log.tables import Query, Row, equal

PAGE = 1_000
_ALL = ("leaf", *(name for name in SCHEMA.names if name not in ("leaf", "entry")), "entry")
"""Every column, so that damage anywhere is met where it lies."""


def read_back(place: Place, name: str, held: tuple[str, int], leaves: Range, root: bytes) -> str | None:
    """What is wrong with a file that should have this digest and length, and hold these leaves; None where nothing is.
    Raises OSError where the place cannot be reached. Blocks."""
    try:
        if place.digest(name) != held:
            return "its bytes are not those that were written"
        file = PartFile.of(partial(place.open, name))
        at, frontier = leaves.start, Frontier()
        for rows in file.groups():
            if [leaf for leaf, _ in rows] != list(range(at, at + len(rows))):
                return f"it does not go on with leaf {at}"
            frontier = frontier.extended(leaf_hash(entry.encode()) for _, entry in rows)
            at += len(rows)
    except FileNotFoundError:
        return "it is not there"
    except NotAPart as error:
        return str(error)
    if at != leaves.end or frontier.root != root:
        return f"its entries do not give the root of leaves {leaves.start} to {leaves.end - 1}"
    return None


async def check_parts(store: Store, place: Place, found: TreeCheck, progress: Callable[[], Awaitable[None]]) -> None:
    """Check every part that the ledger has on record and has begun to drop; differences go to `found`. `store`: the
    lenient one, as a part may hold the event of another.

    Raises PartOutOfReach where files cannot be reached: then nothing can be told.
    """
    kept = await store.find(Query(PARTS.name, order=("part",), limit=PAGE))
    while kept:
        for row in kept:
            await _part(store, place, found, row)
            await progress()
        last: int = kept[-1]["part"]
        kept = await store.find(Query(PARTS.name, order=("part",), limit=PAGE, after=(last, last)))


async def _part(store: Store, place: Place, found: TreeCheck, row: Row) -> None:
    columns = ("event_id", "time", "entry")
    where = equal(subject=part_stream.SUBJECT, sequence=row["part"])
    stated = await store.find(Query("ledger", where, ("time",), 1, columns=columns))
    if not stated:
        found.differ(f"{named(row)} is kept, and no event states it")
        return
    if stated[0]["entry"] is None:
        found.differ(f"{named(row)}: its event cannot be read, as it lies in a part that is lost")
        return
    data = LedgerPartArchived.model_validate(orjson.loads(stated[0]["entry"])["data"], strict=False)
    told = part_row(data, stated[0])
    for name in (*STATED, "root", "event_id"):
        if row[name] != told[name]:
            found.differ(f"{named(row)}: {name} is {row[name]!r}, by its event {told[name]!r}")
            return
    found.parts += 1
    leaves = Range(data.first, data.end)
    try:
        problem = await asyncio.to_thread(
            read_back, place, data.file, (data.sha256, data.length), leaves, b64decode(data.root)
        )
    except OSError as error:
        raise PartOutOfReach(row, error) from error
    if problem:
        leaf, what = await _where(store, place, data, problem)
        found.differ(f"{named(row)}: {what}", leaf, await _place(store, leaf) if leaf is not None else None)


async def _where(store: Store, place: Place, data: LedgerPartArchived, problem: str) -> tuple[int | None, str]:
    """The first leaf that the file no longer gives as the tree has it, as far as it can be read; and what is wrong."""

    async def hashes(start: int, end: int) -> list[bytes]:
        numbers = range(start // WIDTH, (end - 1) // WIDTH + 1)
        held = await TreeReader(store).tiles([Tile(0, number) for number in numbers])
        joined = b"".join(held.get(Tile(0, number), b"").ljust(WIDTH * HASH, b"\0") for number in numbers)
        return tiles.split(joined[(start - numbers[0] * WIDTH) * HASH :])[: end - start]

    try:
        file = await asyncio.to_thread(PartFile.of, partial(place.open, data.file))
        starts = await asyncio.to_thread(lambda: list(file.starts))
    except (NotAPart, FileNotFoundError) as error:
        return data.first, problem if isinstance(error, FileNotFoundError) else str(error)
    for number, (start, end) in enumerate(pairwise([*starts, data.end])):
        try:
            rows = await asyncio.to_thread(file.group, number, _ALL)
        except NotAPart as error:
            return start, f"leaves {start} to {end - 1}: {error}"
        if start < data.first or start >= end:
            return data.first, f"it holds leaf {start} and others, not its own: another part's file lies here"
        for (leaf, *_, entry), (index, wanted) in zip(rows, enumerate(await hashes(start, end), start), strict=False):
            if leaf != index or leaf_hash(entry.encode()) != wanted:
                return index, f"it does not hold the entry whose hash the tree has for leaf {index}"
    return None, f"{problem}; every entry in it is whole"


async def _place(store: Store, leaf: int) -> LogOffset | None:
    runs = await TreeReader(store).runs(Range(leaf, leaf + 1))
    if not runs:
        return None
    return LogOffset(topic=runs[0]["topic"], partition=runs[0]["partition"], offset=runs[0]["begin"])
