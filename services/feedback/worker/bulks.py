"""Bulks that are under way: step by step, each step in one unit of work with how far it got."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.feedback.domain import bulk
from services.feedback.domain.bulk import Advance, Bulk, End
from services.feedback.domain.conditions import wanted
from services.feedback.worker.claiming import Behind, claim, claimed, hold, release
from services.feedback.worker.due import due_of
from services.feedback.worker.flagging import MAX_ROWS, By, Chosen, Kind, chosen, flag, flag_of, not_flagged
from services.feedback.worker.folding import VIEWS
from services.feedback.worker.listed import ListStep, part_at
from services.feedback.worker.places import tables_of
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.feedback import BulkFlagRequested, PredictionQuery
from shared.log.records import TopicPartition
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Delete, Query, Row, Where, equal
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

BATCHES = 500
"""Batches that one step looks at, at most."""


@dataclass(slots=True)
class Bulks:
    """The job. Several workers may run it: of one bulk one step is done at a time, and counts once."""

    service: Service
    source: str = field(init=False)

    def __post_init__(self) -> None:
        self.source = f"/muniment/{self.service.name}"

    async def run(self) -> None:
        """Do what can be done of every bulk that is under way, the oldest first, a step of each in turn."""
        most, find = self.service.settings.max_bulks, self.service.store.find
        going = [row["bulk"] for row in await find(Query("bulk_work", equal(part=0), limit=most, columns=("bulk",)))]
        under_way = (Where("state", "in", ["requested", "running"]),)  # a rebuild empties the other table
        seen = await find(Query("bulks", under_way, ("requested_at",), most, columns=("id",)))
        going = list(dict.fromkeys([*going, *(row["id"] for row in seen)]))
        while going and not self.service.closing.is_set():
            going = [name for name in going if await self._step(name)]

    async def _step(self, name: str) -> bool:
        """One step; False where nothing more can be done of it now."""
        try:
            async with self.service.store.begin() as unit:
                await unit.lock([f"feedback.bulk.{name}"])
                _, state = await self.service.commands.state_in(unit, bulk, f"bulk/{name}")
                if state.requested is None or state.ended:
                    if not await release(unit, name):
                        return False  # the views will show it
                    rows = await unit.find(Query("bulk_work", equal(bulk=name), limit=10_000, columns=("bulk", "part")))
                    await unit.apply([Delete("bulk_work", {"bulk": name, "part": row["part"]}) for row in rows])
                    return False
                if not await self._reached(state.requested):
                    return False
                await release(unit, name)
                asked = await unit.load(f"bulk/{name}", 0)
                by = By(self.source, asked[0].actor, now(), asked[0].id, asked[0].correlationid)
                command = await _Step(self.service, unit, state, state.requested, by).command()
                context = Context(by.actor, by.at, new_id(), by.correlationid, by.cause)
                await self.service.commands.handle_in(unit, bulk, f"bulk/{name}", command, context)
        except Behind:
            return False
        except Conflict:
            return True  # somebody spoke about one of its flags meanwhile: decide again
        return True

    async def _reached(self, asked: BulkFlagRequested) -> bool:
        """Whether the views hold all that the log held when it was asked for."""
        offsets = await self.service.store.offsets()
        places = {end.partition: TopicPartition(TOPIC_PREDICTIONS, end.partition) for end in asked.ends}
        return all(offsets.get((VIEWS, places[end.partition]), 0) >= end.offset for end in asked.ends)


@dataclass(slots=True)
class _Step:
    service: Service
    unit: UnitOfWork
    state: Bulk
    asked: BulkFlagRequested
    by: By

    async def command(self) -> Advance | End:
        """What the step came to."""
        if self.asked.query is None:
            part = await part_at(self.unit, self.asked.bulk, self.state.listed)
            if part is None and self.state.listed < self.asked.listed:
                return End("failed", "The list is gone: the views were rebuilt meanwhile. Send what is left again.")
            if part is None:
                return End("completed", _refusals(self.state))
            return await ListStep(self.service, self.unit, self.state, self.asked, self.by).command(part)
        if self.state.looked == 0 and (reason := await self._too_many(self.asked.query)):
            return End("failed", reason)
        rows = await self._batches(self.asked.query, self.state.at)
        if not rows:
            return End("completed")
        return await self._query(self.asked.query, rows)

    async def _query(self, query: PredictionQuery, rows: list[Row]) -> Advance:
        found: dict[Kind, list[Chosen]] = {}
        async for row, table in tables_of(self.service.log, _of_models(rows)):
            one = chosen(row["batch"], table, wanted(table, query), self.asked.expected)
            if one is not None:
                found.setdefault(self._kind(row), []).append(one)
        flags: dict[str, str] = {}
        flagged = 0
        await hold(self.unit, found)
        for kind, all_ in found.items():
            fresh = await not_flagged(self.unit, kind, all_, await claimed(self.unit, kind))
            if fresh:
                flags[kind.name] = flag_of(self.state.flags, kind)
                stated = await flag(self.service, self.unit, kind, flags[kind.name], fresh, self.by)
                await claim(self.unit, self.asked.bulk, kind, stated)
                flagged += sum(len(one.rows) for one in fresh)
        last = rows[-1]
        looked = sum(row["rows"] for row in rows)
        return Advance((last["partition"], last["offset"]), 0, looked, flagged, flags)

    def _kind(self, row: Row) -> Kind:
        asked = self.asked
        return Kind(
            row["deployment"],
            row["model"],
            row["version"],
            asked.category,
            asked.severity,
            asked.comment,
            asked.via,
            bulk=asked.bulk,
            due=due_of(self.service.settings, asked.severity, self.by.at),
        )

    async def _batches(self, query: PredictionQuery, after: tuple[int, int]) -> list[Row]:
        """The next batches that may hold what is asked for, up to MAX_ROWS predictions.""" ""
        ends = {end.partition: end.offset for end in self.asked.ends}
        where = [*equal(deployment=query.deployment), Where("partition", ">=", max(after[0], 0))]
        if query.version is not None:
            where.append(Where("version", "=", query.version))
        if query.since is not None:
            where.append(Where("end", ">=", query.since))
        if query.until is not None:
            where.append(Where("start", "<", query.until))
        behind = (after[0], after[1] + 1, "") if after[0] >= 0 else None
        rows = await self.unit.find(Query("batches", tuple(where), ("partition", "offset"), BATCHES, behind))
        taken: list[Row] = []
        for row in rows:
            if row["offset"] < ends.get(row["partition"], 0):
                if taken and sum(one["rows"] for one in taken) + row["rows"] > MAX_ROWS:
                    break
                taken.append(row)
        return taken

    async def _too_many(self, query: PredictionQuery) -> str | None:
        """Why the query may not be done: it finds more than one bulk may flag. Counted before anything is flagged, and
        only where there could be so many."""
        most = self.service.settings.max_bulk_flags
        could = 0
        async for rows in self._all(query):
            could += sum(row["rows"] for row in rows)
            if could > most:
                break
        if could <= most:
            return None
        found = 0
        async for rows in self._all(query):
            async for _, table in tables_of(self.service.log, _of_models(rows)):
                found += int(wanted(table, query).sum())
            if found > most:
                return f"The query finds more than {most} predictions, the most that one bulk may flag: narrow it."
        return None

    async def _all(self, query: PredictionQuery) -> AsyncIterator[list[Row]]:
        after = (-1, -1)
        while rows := await self._batches(query, after):
            yield rows
            after = (rows[-1]["partition"], rows[-1]["offset"])


def _of_models(rows: list[Row]) -> list[Row]:
    """The batches without those that a constant answered in a version's place: a query for its predictions means none
    of them."""
    return [row for row in rows if not row["fallback"]]


def _refusals(state: Bulk) -> str:
    if not state.refused:
        return ""
    return f"{state.refused} ids name no row of their batch, or were too many to wait for, and were not flagged."
