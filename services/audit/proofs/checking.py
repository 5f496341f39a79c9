"""The tree laid beside the ledger: every leaf, every tile, every checkpoint, and the copies of them outside.

The ledger is the side that a verification has compared with the log already; so what differs here is told from it. The
checkpoints that the log states say which record is which leaf; their roots say whether any of it was altered.
"""

import asyncio
from base64 import b64encode
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from services.audit.domain import tiles
from services.audit.domain.checkpoint import parse as parse_checkpoint
from services.audit.domain.merkle import Frontier, Range
from services.audit.domain.note import BadNote, VerifierKey, parse, parse_verifier, verified_by
from services.audit.domain.tiles import Tile
from services.audit.domain.tree import SUBJECT
from services.audit.projection.tree import Stated
from services.audit.proofs.copies import Copies
from services.audit.proofs.reading import TreeReader
from services.audit.proofs.stated import next_checkpoint
from shared.events.audit import LogOffset, LogRun
from shared.log.store import Store
from shared.log.tables import Query, Row, Where, equal

PAGE = 5_000
MAX_COPIES = 1_000
"""Copies outside that are compared, of each place: the newest."""


class Differs(Exception):
    """The first difference; nothing behind it can be told."""


@dataclass(slots=True)
class TreeCheck:
    """What the check has found. `known`: checkpoint sizes and the root that each was verified to have; `parts`: cold
    parts that were read."""

    size: int = 0
    checkpoints: int = 0
    copies: int = 0
    parts: int = 0
    frontier: Frontier = field(default_factory=Frontier)
    edge: dict[Tile, bytes] = field(default_factory=dict[Tile, bytes])
    known: dict[int, bytes] = field(default_factory=dict[int, bytes])
    first_difference: str | None = None
    leaf: int | None = None
    place: LogOffset | None = None

    def differ(self, text: str, leaf: int | None = None, place: LogOffset | None = None) -> Differs:
        """Note a difference, unless one was noted before."""
        if self.first_difference is None:
            where = f" ({place.topic}[{place.partition}] offset {place.offset})" if place else ""
            head = f"tree leaf {leaf}{where}: " if leaf is not None else ""
            self.first_difference, self.leaf, self.place = head + text, leaf, place
        return Differs(self.first_difference)

    def take(self, parts: "TreeCheck") -> None:
        """Take in what a check of the cold parts found: a part that is lost says more than what is missing for it."""
        self.parts = parts.parts
        if parts.first_difference is not None:
            self.first_difference, self.leaf, self.place = parts.first_difference, parts.leaf, parts.place

    @property
    def root(self) -> str:
        """The root that the ledger gives, in base64."""
        return b64encode(self.frontier.root).decode()


async def check_tree(store: Store, urls: Sequence[str], progress: Callable[[], Awaitable[None]]) -> TreeCheck:
    """Check the whole tree, and the copies at these places."""
    found, reader = TreeCheck(), TreeReader(store)
    keys = [parse_verifier(key["verifier"]) for key in await reader.keys()]
    newest = await reader.newest()
    try:
        last: Row | None = None
        while newest and (stated := await next_checkpoint(store, last)) and stated.sequence <= newest["sequence"]:
            last = await _checkpoint(store, reader, found, stated, keys)
            await progress()
        await _nothing_more(store, found, newest, last)
    except Differs:
        pass
    for url in urls:
        await _copies(reader, found, url, keys)
    return found


async def _checkpoint(
    store: Store, reader: TreeReader, found: TreeCheck, stated: Stated, keys: Sequence[VerifierKey]
) -> Row:
    """Check one checkpoint: what is kept of it, its leaves, its tiles, its root, its signature."""
    data = stated.data
    rows = await store.find(Query("checkpoints", equal(sequence=stated.sequence), limit=1))
    if not rows:
        raise found.differ(f"the checkpoint of {data.size} leaves that the log states is not kept")
    kept = rows[0]
    if data.previous != found.size:
        raise found.differ(f"the checkpoint of {data.size} leaves continues {data.previous}, not {found.size}")
    for name, wanted in (("size", data.size), ("note", data.note), ("event_id", stated.event_id)):
        if kept[name] != wanted:
            raise found.differ(f"checkpoint of {data.size} leaves: {name} is {kept[name]!r}, by the log {wanted!r}")
    await _runs(reader, found, data.runs, data.previous)
    for run in data.runs:
        await _leaves(store, reader, found, run)
    if found.frontier.root != kept["root"] or found.root != data.root:
        runs = ", ".join(f"{one.topic}[{one.partition}] {one.begin} to {one.end - 1}" for one in data.runs[:20])
        kept_root = b64encode(kept["root"]).decode()
        raise found.differ(
            f"checkpoint of {data.size} leaves: the ledger gives the root {found.root}, signed was {data.root}, "
            f"kept is {kept_root}; altered within {runs}"
        )
    problem = _unsigned(data.note, data.size, found.frontier.root, keys)
    if problem:
        raise found.differ(f"checkpoint of {data.size} leaves: {problem}")
    found.checkpoints += 1
    found.known[data.size] = found.frontier.root
    return kept


def _unsigned(note: str, size: int, root: bytes, keys: Sequence[VerifierKey]) -> str | None:
    """Why a note is not one of ours over this tree."""
    try:
        read = parse(note)
        told = parse_checkpoint(read.text)
        signed = verified_by(read, keys)
    except BadNote as error:
        return str(error)
    if (told.size, told.root) != (size, root):
        return f"its note says {told.size} leaves with the root {b64encode(told.root).decode()}"
    return None if signed else "none of the keys on record signed it"


async def _runs(reader: TreeReader, found: TreeCheck, runs: Sequence[LogRun], first: int) -> None:
    """The kept runs must be those that the log states."""
    size = first + sum(run.end - run.begin for run in runs)
    wanted = list(_run_rows(runs, first))
    names = ("first", "topic", "partition", "begin", "end")
    kept = [tuple(row[name] for name in names) for row in await reader.runs(Range(first, size), len(runs) + 1)]
    for have, want in zip([*kept, None], [*wanted, None], strict=False):
        if have != want:
            leaf = want[0] if want else size
            raise found.differ(f"the tree places it at {have}, the log's checkpoint at {want}", leaf)


def _run_rows(runs: Sequence[LogRun], first: int) -> Iterator[tuple[int, str, int, int, int]]:
    for run in runs:
        yield first, run.topic, run.partition, run.begin, run.end
        first += run.end - run.begin


async def _leaves(store: Store, reader: TreeReader, found: TreeCheck, run: LogRun) -> None:
    """The ledger's leaves of a run against the tiles."""
    for begin in range(run.begin, run.end, PAGE):
        end = min(run.end, begin + PAGE)
        where = (*equal(topic=run.topic, partition=run.partition), Where("offset", ">=", begin))
        columns = ("event_id", "offset", "leaf")
        query = Query("ledger", (*where, Where("offset", "<", end)), ("offset",), end - begin + 1, columns=columns)
        rows = await store.find(query)
        leaves: list[bytes] = []
        for row in rows:
            if row["offset"] != begin + len(leaves):
                break
            leaves.append(row["leaf"])
        offset = begin + len(leaves)
        if twice := len(rows) > len(leaves) and rows[len(leaves)]["offset"] < offset:
            offset -= 1
        if twice or offset < end:
            place = LogOffset(topic=run.topic, partition=run.partition, offset=offset)
            what = "has it twice" if twice else "lacks it"
            raise found.differ(f"a checkpoint covers it and the ledger {what}", found.size + offset - begin, place)
        await _grow(reader, found, leaves, run, begin)


async def _grow(reader: TreeReader, found: TreeCheck, leaves: Sequence[bytes], run: LogRun, begin: int) -> None:
    """Let the tree of the check grow, and compare each tile that it touches."""
    changed = tiles.grow(found.size, found.edge, leaves)
    kept = await reader.tiles(list(changed))
    for tile, hashes in sorted(changed.items()):
        held = kept.get(tile, b"")[: len(hashes)]
        if held == hashes:
            continue
        at = next(one for one in range(len(hashes)) if held[one : one + 1] != hashes[one : one + 1]) // tiles.HASH
        if tile.level:
            raise found.differ(f"hash {at} of tile {tile.level}/{tile.number} is not that over the tiles below it")
        leaf = tile.number * tiles.WIDTH + at
        place = LogOffset(topic=run.topic, partition=run.partition, offset=begin + leaf - found.size)
        given = hashes[at * 32 : at * 32 + 32].hex()
        raise found.differ(
            f"the tree holds {held[at * 32 : at * 32 + 32].hex() or 'nothing'}, the ledger {given}", leaf, place
        )
    found.size += len(leaves)
    found.frontier = found.frontier.extended(leaves)
    found.edge = {tile: ({**found.edge, **changed})[tile] for tile in tiles.edge(found.size)}


async def _nothing_more(store: Store, found: TreeCheck, newest: Row | None, last: Row | None) -> None:
    """The newest checkpoint kept must be one that the log states, or that is on its way there."""
    checked: int = last["sequence"] if last else 0
    if newest is None or newest["sequence"] == checked:
        return
    async with store.begin() as unit:
        coming = {event.id: event.sequence for event in await unit.load(SUBJECT, checked)}
    if coming.get(newest["event_id"]) != newest["sequence"]:
        raise found.differ(f"a checkpoint of {newest['size']} leaves is kept that the log does not state")


async def _copies(reader: TreeReader, found: TreeCheck, url: str, keys: Sequence[VerifierKey]) -> None:
    """Copies in other hands against what was verified here, or against what was kept since: a checkpoint may be signed
    and copied while all before it is verified."""
    try:
        copies = Copies.of(url)
        sizes = (await asyncio.to_thread(copies.sizes))[-MAX_COPIES:]
        notes = [(size, await asyncio.to_thread(copies.of_size, size)) for size in sizes]
    except (OSError, ValueError) as error:
        found.differ(f"the copies at {url} cannot be read: {error}")
        return
    agreed = 0
    for size, note in notes:
        found.copies += 1
        root = found.known.get(size)
        if root is None and size > found.size and (kept := await reader.of_size(size)):
            root = kept["root"]
        if root is None and size > found.size:
            found.differ(
                f"{url} holds a checkpoint of {size} leaves, the record ends at {found.size}: it lost the rest"
            )
        elif root is None:
            found.differ(f"{url} holds a checkpoint of {size} leaves that is not on record: two views of one record")
        elif problem := _unsigned(note or "", size, root, keys):
            where = f"two views, which part between leaf {agreed} and leaf {size - 1}"
            found.differ(f"{url}, checkpoint of {size} leaves against the one on record ({where}): {problem}")
        else:
            agreed = size
