"""Moves old entries of the ledger into cold parts: written, read back, stated, and only then dropped.

A kill between any two steps leaves the ledger whole or the part on record: a file that nothing names is written anew
under the same name, a part is stated once by its stream, and dropping goes on where it stood.
"""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import orjson
import structlog

from services.audit.domain import merkle
from services.audit.domain import part as part_stream
from services.audit.domain.merkle import Frontier, Range, leaf_hash
from services.audit.parts.checking import read_back
from services.audit.parts.file import Told, Writer
from services.audit.parts.place import Place
from services.audit.parts.reading import named
from services.audit.projection.parts import PARTS, dropping, part_row
from services.audit.proofs.reading import Leaf, TreeReader
from shared.events.audit import LedgerPartArchived
from shared.events.refusal import Refused
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Put, Query, Row, Where, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

logger = structlog.get_logger()

ACTOR = "audit"
LOCK = "ledger-parts"
READ = 1_000
DROPPED_AT_ONCE = 2_000
"""Leaves that are read, and entries that leave the ledger, at a time."""


class PartBroken(Exception):
    """A part that cannot be archived, or whose entries must not leave the ledger: an alarm. `str(error)` says why."""


@dataclass(slots=True)
class Archiver:
    """`consumer`: the one that writes the ledger. `reads_back`: whether a part's file must be there and whole before
    its entries leave the ledger."""

    service: Service
    consumer: str
    reads_back: bool = True

    async def run(self) -> None:
        """Drop what is on record as archived, and archive what is due. Raises PartBroken, OSError."""
        await self.follow()
        while await self._archive():
            pass

    async def follow(self) -> None:
        """Take in the parts that the ledger has on record, and drop their entries. Raises PartBroken, OSError."""
        while (part := await self._stated()) is not None:
            while await self._drop(part):
                pass

    async def _archive(self) -> bool:
        """Archive the next part; False where none is due, or somebody else did."""
        settings = self.service.settings
        if settings.ledger_hot_days <= 0 and settings.ledger_hot_leaves <= 0:
            return False
        async with self.service.store.begin() as unit:
            _, state = await self.service.commands.state_in(unit, part_stream, part_stream.SUBJECT)
        leaves = part_stream.following(state, settings.ledger_part_leaves)
        covering = await self._due(leaves)
        if covering is None:
            return False
        command = await self._written(leaves, covering)
        try:
            async with self.service.store.begin() as unit:
                context = Context(ACTOR, now(), new_id(), causationid=covering["event_id"])
                await self.service.commands.handle_in(unit, part_stream, part_stream.SUBJECT, command, context)
        except (Refused, Conflict):
            return False  # another worker was first
        logger.info("ledger part archived", first=leaves.start, end=leaves.end, file=command.file, bytes=command.length)
        return True

    async def _due(self, leaves: Range) -> Row | None:
        """The first checkpoint that covers these leaves, where they are old enough, or far enough behind."""
        settings, reader = self.service.settings, TreeReader(self.service.store)
        newest = await reader.newest()
        if newest is None or newest["size"] < leaves.end:
            return None
        query = Query("checkpoints", (Where("size", ">=", leaves.end),), ("size",), 1)
        covering = (await self.service.store.find(query))[0]
        old = settings.ledger_hot_days > 0 and covering["time"] <= now() - timedelta(days=settings.ledger_hot_days)
        far = 0 < settings.ledger_hot_leaves <= newest["size"] - leaves.end
        return covering if old or far else None

    async def _written(self, leaves: Range, covering: Row) -> part_stream.Archive:
        """Write these leaves to where parts lie, and read them back. Raises PartBroken, OSError."""
        place = Place.of(self.service.settings)
        reader = TreeReader(self.service.store)
        (root,) = await reader.roots([leaves])
        told = await self._told(reader, leaves, root, covering)
        with TemporaryDirectory(prefix="muniment-part") as folder:
            path = Path(folder) / "part"
            await self._write(path, leaves, root, told)
            sha256, length = await asyncio.to_thread(Place.at(folder).digest, path.name)
            file = f"{leaves.start:012d}-{leaves.end:012d}-{sha256[:16]}.parquet"
            await asyncio.to_thread(place.put, file, path)
        command = part_stream.Archive(leaves, root, file, sha256, length, covering["size"])
        await self._read_back(place, file, sha256, length, leaves, root)
        return command

    async def _told(self, reader: TreeReader, leaves: Range, root: bytes, covering: Row) -> Told:
        """What the file says of itself: from the subtree's root upwards its proof is that of its first leaf."""
        height = (leaves.end - leaves.start).bit_length() - 1
        proof = await reader.roots(merkle.inclusion_ranges(leaves.start, covering["size"])[height:])
        keys = [{name: key[name] for name in ("verifier", "endorsement")} for key in await reader.keys()]
        return Told(
            first=leaves.start,
            end=leaves.end,
            root=b64encode(root).decode(),
            size=covering["size"],
            checkpoint=covering["note"],
            proof=tuple(b64encode(one).decode() for one in proof),
            keys=tuple(keys),
        )

    async def _write(self, path: Path, leaves: Range, root: bytes, told: Told) -> None:
        writer, frontier = await asyncio.to_thread(Writer, path, told), Frontier()
        try:
            async for some in _leaves(TreeReader(self.service.store), leaves):
                hashes = [leaf_hash(leaf.entry) for leaf in some]
                for leaf, hashed in zip(some, hashes, strict=True):
                    if hashed != leaf.row["leaf"]:
                        raise PartBroken(f"leaf {leaf.index}: the ledger's entry does not give the ledger's hash")
                frontier = frontier.extended(hashes)
                await asyncio.to_thread(_add, writer, some)
        finally:
            await asyncio.to_thread(writer.close)
        if frontier.root != root:
            raise PartBroken(f"the ledger gives another root than the tree for leaves {leaves.start} to {leaves.end}")

    async def _read_back(self, place: Place, file: str, sha256: str, length: int, leaves: Range, root: bytes) -> None:
        problem = await asyncio.to_thread(read_back, place, file, (sha256, length), leaves, root)
        if problem:
            raise PartBroken(f"{file} was read back: {problem}")

    async def _stated(self) -> Row | None:
        """The part whose entries are to be dropped next, if the ledger has its event and the tree its leaves."""
        async with self.service.store.begin() as unit:
            await unit.lock([LOCK])
            rows = await unit.find(Query(PARTS.name, order=("-part",), limit=1))
            last = rows[0] if rows else None
            if last is not None and last["dropped"] < last["end"] - last["first"]:
                return last
            data, stated = await _next(unit, last["part"] + 1 if last else 1)
            if data is None or stated is None:
                return None
            newest = await TreeReader(unit).newest()
            if newest is None or newest["size"] < data.end:
                return None  # a tree that still follows its checkpoints
            row = part_row(data, stated)
            await self._sound(unit, data, row)
            await unit.apply([Put(PARTS.name, row)])
            return row

    async def _sound(self, unit: UnitOfWork, data: LedgerPartArchived, part: Row) -> None:
        """Nothing leaves the ledger for a part that is not the tree's, or whose file is not there and whole."""
        leaves = Range(data.first, data.end)
        (root,) = await TreeReader(unit).roots([leaves])
        if root != b64decode(data.root):
            raise PartBroken(f"{named(part)}: the tree gives another root than its event")
        if self.reads_back:
            place = Place.of(self.service.settings)
            await self._read_back(place, data.file, data.sha256, data.length, leaves, root)

    async def _drop(self, part: Row) -> bool:
        """Let the next entries leave the ledger; whether there are more."""
        async with self.service.store.begin() as unit:
            await unit.lock([LOCK])
            row = await unit.get(PARTS.name, part["part"])
            if row is None:
                return False  # a rebuild has begun
            start: int = row["first"] + row["dropped"]
            end = min(row["end"], start + DROPPED_AT_ONCE)
            if start >= end:
                return False
            leaves = await TreeReader(unit).leaves(Range(start, end), ("event_id", "offset"))
            if len(leaves) != end - start:
                raise PartBroken(f"{named(part)}: the ledger holds {len(leaves)} of the leaves {start} to {end - 1}")
            await unit.apply(dropping(row, [(leaf.index, leaf.row["event_id"]) for leaf in leaves]))
            return end < row["end"]


async def _next(unit: UnitOfWork, number: int) -> tuple[LedgerPartArchived | None, Row | None]:
    """The event of a part, as the ledger has it, with the ledger's row."""
    where = equal(subject=part_stream.SUBJECT, sequence=number)
    rows = await unit.find(Query("ledger", where, ("time",), 1, columns=("event_id", "time", "entry")))
    if not rows:
        return None, None
    data: dict[str, Any] = orjson.loads(rows[0]["entry"])["data"]
    return LedgerPartArchived.model_validate(data, strict=False), rows[0]


async def _leaves(reader: TreeReader, leaves: Range) -> AsyncIterator[list[Leaf]]:
    """These leaves, some at a time. Raises PartBroken where the ledger lacks one."""
    for start in range(leaves.start, leaves.end, READ):
        end = min(leaves.end, start + READ)
        found = await reader.leaves(Range(start, end))
        if len(found) != end - start:
            raise PartBroken(f"the ledger holds {len(found)} of the leaves {start} to {end - 1}")
        yield found


def _add(writer: Writer, leaves: list[Leaf]) -> None:
    for leaf in leaves:
        writer.add(leaf.index, leaf.row)
