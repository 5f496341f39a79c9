"""Runs the verifications that were asked for, one at a time, and states what came out."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from services.audit.domain import verification as domain
from services.audit.parts.checking import check_parts
from services.audit.parts.place import Place
from services.audit.parts.store import LOST, lenient
from services.audit.proofs.checking import TreeCheck, check_tree
from services.audit.worker.comparing import Comparison, compare
from shared.events.audit import TreeVerified
from shared.log.records import TopicPartition
from shared.log.tables import Put, Query, Row, Where, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.problems import Problem
from shared.runtime.service import Service

SCHEDULE = "schedule"
"""Who asks for the verifications that run by themselves."""

ABANDONED = timedelta(minutes=2)
"""A run that has not told its progress for so long is taken over: its process is gone."""


@dataclass(slots=True)
class Verifier:
    """Takes requests from the table `verifications`."""

    service: Service
    consumer: str

    async def run_waiting(self) -> None:
        """Run what waits, oldest first, until nothing does."""
        while (request := await self._take()) is not None:
            try:
                await self._run(request)
            except Exception as error:
                problem = f"{type(error).__name__}: {error}"
                await self._put(request["id"], {"state": "failed", "problem": problem, "heartbeat": now()})
                raise

    async def _take(self) -> Row | None:
        """The oldest request that nobody works on, marked as ours."""
        order = ("requested_at",)
        async with self.service.store.begin() as unit:
            await unit.lock(["verifications"])
            waiting = await unit.find(Query("verifications", equal(state="requested"), order, limit=1))
            if not waiting:
                gone = (*equal(state="running"), Where("heartbeat", "<", now() - ABANDONED))
                waiting = await unit.find(Query("verifications", gone, order, limit=1))
            if not waiting:
                return None
            row = waiting[0]
            await unit.apply([Put("verifications", {"id": row["id"], "state": "running", "heartbeat": now()})])
            return row

    async def _run(self, request: Row) -> None:
        name: str = request["id"]
        frozen = await self._frozen()
        await self._put(name, {"events_done": 0, "events_total": sum(frozen.values()), "heartbeat": now()})

        async def progress(found: Comparison) -> None:
            await self._put(name, {"events_done": found.events, "rows": found.rows, "heartbeat": now()})

        async def alive() -> None:
            await self._put(name, {"heartbeat": now()})

        parts = TreeCheck()
        seen = lenient(self.service.store)
        await check_parts(seen, Place.of(self.service.settings), parts, alive)
        found = await compare(self.service.log, seen, frozen, progress)
        tree = await self._tree(parts, alive)
        command = domain.Complete(
            verification=name,
            events=found.events,
            rows=found.rows,
            digest_live=found.live.hexdigest(),
            digest_replayed=found.replayed.hexdigest(),
            first_difference=parts.first_difference or found.first_difference,
            tree=tree_event(name, tree),
        )
        context = Context(request["actor"], now(), new_id(), request["correlationid"])
        events = await self.service.commands.handle(domain, f"verification/{name}", command, context)
        result = events[0].data.model_dump(mode="json") if events else None
        if result is not None:
            result["tree"] = events[1].data.model_dump(mode="json")
        done: Row = {"state": "completed", "events_done": found.events, "rows": found.rows, "heartbeat": now()}
        await self._put(name, done if result is None else {**done, "result": {**result, "event_id": events[0].id}})

    async def _tree(self, parts: TreeCheck, alive: Callable[[], Awaitable[None]]) -> TreeCheck:
        """The check of the tree, with what was found of the cold parts: a lost one may hold what the tree rests on."""
        try:
            tree = await check_tree(self.service.store, self.service.settings.checkpoint_urls, alive)
        except Problem as problem:
            if problem.status != LOST:
                raise
            tree = TreeCheck()
            tree.differ(problem.detail)
        tree.take(parts)
        return tree

    async def ask_when_due(self) -> None:
        """Ask for a verification when the last one was asked for `verification_seconds` ago, or never."""
        seconds = self.service.settings.verification_seconds
        if seconds <= 0:
            return
        async with self.service.store.begin() as unit:
            await unit.lock(["verifications"])
            last = await unit.find(Query("verifications", order=("-requested_at",), limit=1))
            if last and last[0]["requested_at"] > now() - timedelta(seconds=seconds):
                return
            row: Row = {"id": new_id(), "state": "requested", "actor": SCHEDULE, "correlationid": None}
            await unit.apply([Put("verifications", {**row, "requested_at": now()})])

    async def _frozen(self) -> dict[TopicPartition, int]:
        offsets = await self.service.store.offsets()
        return {place: offset for (consumer, place), offset in offsets.items() if consumer == self.consumer and offset}

    async def _put(self, name: str, columns: Row) -> None:
        async with self.service.store.begin() as unit:
            await unit.apply([Put("verifications", {"id": name, **columns})])


def tree_event(verification: str, found: TreeCheck) -> TreeVerified:
    """What the check of the tree found, as an event."""
    return TreeVerified(
        verification=verification,
        outcome="different" if found.first_difference else "equal",
        size=found.size,
        checkpoints=found.checkpoints,
        copies=found.copies,
        root=found.root,
        leaf=found.leaf,
        place=found.place,
        first_difference=found.first_difference,
        parts=found.parts,
    )
