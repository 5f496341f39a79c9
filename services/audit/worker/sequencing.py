"""The sequencer: puts what is new in the ledger into the tree, and signs the tree.

One process at a time, under a lock in the store. Checkpoints that the log has and the tree has not (after a rebuild)
are applied first, each checked against its root; only a tree that stands where its stream of checkpoints stands is
signed on.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from services.audit.domain import tiles
from services.audit.domain import tree as tree_stream
from services.audit.domain.checkpoint import Checkpoint
from services.audit.domain.merkle import Range
from services.audit.domain.note import Note
from services.audit.domain.tiles import Tile
from services.audit.projection.tree import Stated, checkpoint_rows, tile_rows
from services.audit.proofs.reading import TreeReader
from services.audit.proofs.stated import next_checkpoint
from services.audit.worker.collecting import PAGE, collect
from services.audit.worker.signing import Signing
from shared.events.audit import CheckpointSigned, LogRun
from shared.events.catalog import TOPICS
from shared.log.records import TopicPartition
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

ACTOR = "audit"
LOCK = "tree"


class TreeBroken(Exception):
    """The ledger no longer gives what a checkpoint of the log says: an alarm. `str(error)` says where."""


@dataclass(slots=True)
class Standing:
    """How far the tree is: its last checkpoint, and the offsets that it covers."""

    sequence: int
    size: int
    last: Row | None
    covered: dict[TopicPartition, int]


@dataclass(slots=True)
class Sequencer:
    """`consumer`: the one that writes the ledger."""

    service: Service
    consumer: str
    signing: Signing

    async def run(self) -> None:
        """Bring the tree up to the ledger. Raises TreeBroken, SigningKeyMissing."""
        while await self._far_behind() is False and await self._step():
            pass

    async def follow(self) -> None:
        """Only take in the checkpoints that the ledger has. Raises TreeBroken."""
        while await self._step(signs=False):
            pass

    async def _far_behind(self) -> bool:
        """Whether the ledger is being filled in bulk, without its indexes."""
        bounds = await self.service.log.bounds(TOPICS)
        offsets = await self._offsets()
        lag = sum(bound.end - offsets.get(place, 0) for place, bound in bounds.items())
        return lag > self.service.settings.consumer_load_lag

    async def _offsets(self) -> dict[TopicPartition, int]:
        kept = await self.service.store.offsets()
        return {place: offset for (consumer, place), offset in kept.items() if consumer == self.consumer}

    async def _step(self, signs: bool = True) -> bool:
        """One checkpoint further; False where there is none."""
        offsets = await self._offsets()
        async with self.service.store.begin() as unit:
            await unit.lock([LOCK])
            standing = await _standing(unit)
            stated = await next_checkpoint(unit, standing.last)
            if stated is not None:
                return await self._apply(unit, standing, stated, offsets)
            if not signs or await unit.load(tree_stream.SUBJECT, standing.sequence):
                return False  # signed, and on its way through the log
            return await self._sign(unit, standing, offsets)

    async def _sign(self, unit: UnitOfWork, standing: Standing, offsets: Mapping[TopicPartition, int]) -> bool:
        settings = self.service.settings
        limits = (settings.checkpoint_max_leaves, settings.checkpoint_max_runs)
        found = await collect(unit, standing.covered, offsets, *limits)
        if not found.worth:
            return False
        signer = await self.signing.current(unit)
        changed, root = await _grown(unit, standing.size, found.leaves)
        checkpoint = Checkpoint(signer.name, standing.size + len(found.leaves), root)
        note = Note(checkpoint.text, (signer.sign(checkpoint.text),))
        command = tree_stream.Sign(checkpoint, note, standing.size, tuple(found.runs), tuple(found.offsets))
        known = (standing.sequence, tree_stream.State(standing.size))
        context = Context(ACTOR, now(), new_id())
        commands = self.service.commands
        (event,) = await commands.handle_in(unit, tree_stream, tree_stream.SUBJECT, command, context, known)
        assert isinstance(event.data, CheckpointSigned)  # noqa: S101 what the command states
        await _keep(unit, standing, Stated(event.data, event.id, event.sequence, event.time), changed)
        return found.full

    async def _apply(
        self, unit: UnitOfWork, standing: Standing, stated: Stated, offsets: Mapping[TopicPartition, int]
    ) -> bool:
        """Take a checkpoint of the log into the tree; False while the ledger has not reached it."""
        data = stated.data
        if data.previous != standing.size:
            raise TreeBroken(f"checkpoint {stated.sequence} continues {data.previous} leaves, not {standing.size}")
        if any(offsets.get(TopicPartition(one.topic, one.partition), 0) < one.offset for one in data.offsets):
            return False
        leaves = [leaf for run in data.runs for leaf in await _leaves(unit, run, data.size)]
        changed, root = await _grown(unit, standing.size, leaves)
        if b64encode(root).decode() != data.root:
            where = ", ".join(f"{one.topic}[{one.partition}] {one.begin} to {one.end - 1}" for one in data.runs[:20])
            raise TreeBroken(f"checkpoint of {data.size} leaves: the ledger gives another root; altered within {where}")
        await _keep(unit, standing, stated, changed)
        return True


async def _standing(unit: UnitOfWork) -> Standing:
    last = await TreeReader(unit).newest()
    rows = await unit.find(Query("tree_covered", limit=100_000))
    covered = {TopicPartition(row["topic"], row["partition"]): row["offset"] for row in rows}
    return Standing(last["sequence"] if last else 0, last["size"] if last else 0, last, covered)


async def _grown(unit: UnitOfWork, size: int, leaves: Sequence[bytes]) -> tuple[dict[Tile, bytes], bytes]:
    """The changed tiles and the root with these leaves behind the last."""
    edge = await TreeReader(unit).tiles(tiles.edge(size))
    changed = tiles.grow(size, edge, leaves)
    return changed, tiles.range_root(Range(0, size + len(leaves)), {**edge, **changed})


async def _keep(unit: UnitOfWork, standing: Standing, stated: Stated, changed: Mapping[Tile, bytes]) -> None:
    covered = {(place.topic, place.partition): offset for place, offset in standing.covered.items()}
    await unit.apply([*checkpoint_rows(stated, covered), *tile_rows(changed)])


async def _leaves(unit: UnitOfWork, run: LogRun, size: int) -> list[bytes]:
    """The leaves of a run. Raises TreeBroken at the first that the ledger lacks."""
    found: list[bytes] = []
    while (start := run.begin + len(found)) < run.end:
        where = (*equal(topic=run.topic, partition=run.partition), Where("offset", ">=", start))
        where += (Where("offset", "<", run.end),)
        rows = await unit.find(Query("ledger", where, ("offset",), PAGE, columns=("event_id", "offset", "leaf")))
        for row in rows or [{"offset": None}]:
            expected = run.begin + len(found)
            if row["offset"] != expected:
                place = f"{run.topic}[{run.partition}] offset {expected}"
                raise TreeBroken(f"checkpoint of {size} leaves covers {place}, which the ledger has not, or has twice")
            found.append(row["leaf"])
    return found
