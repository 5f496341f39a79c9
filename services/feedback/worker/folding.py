"""Folds batches and flags into the views, places flags whose prediction came later, and states breached limits."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from zlib import crc32

import pyarrow as pa

from services.feedback.domain import flags
from services.feedback.domain.flags import Locate
from services.feedback.projection import project
from services.feedback.worker.checking import Checking
from services.feedback.worker.labels import Labels
from services.feedback.worker.levels import Levels, flags_in, key_of, lock_of
from services.feedback.worker.notices import notices_of
from services.feedback.worker.places import Logged, NoSuchRow, in_chunks, logged, place_of, tables_of, text_at
from shared.events import batches
from shared.events.envelope import Event
from shared.events.feedback import FeedbackFlagged, FlagLocated, FlagResolved, PredictionsFlagged
from shared.events.monitor import PredictionLogged
from shared.log.records import TopicPartition
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, Where, equal
from shared.runtime.commands import caused_by
from shared.runtime.consumer import Received
from shared.runtime.service import Service

VIEWS = "feedback.views"
TOPIC = "muniment.feedback"
_BUCKETS = 64
_PAGE = 1_000


@dataclass(slots=True)
class Folding:
    """One unit of work of the consumer. `behind`: whether facts were folded since limits were last compared; that is
    done at the log's end only, since in a rebuild flags of different partitions meet in another order, and levels pass
    through what they never were. `told`: notices that were made."""

    service: Service
    unit: UnitOfWork
    behind: bool = True
    told: list[Row] = field(default_factory=list[Row])

    async def handle(self, received: Sequence[Received]) -> None:
        """Two workers may fold a flag and its batch at once: both hold the same name, so that one sees the other."""
        logs = await self._fresh(received)
        own = [item for item in received if not isinstance(item.event.data, PredictionLogged)]
        events = [item.event for item in own]
        rows = {row["id"]: row for row in await in_chunks(self.unit, "flags", "id", flags_in(events))}
        await self.unit.lock(sorted({*_places(logs, events), *_levels(events, rows)}))
        await self.unit.apply([change for item, one in logs for change in self._logged(item, one)])
        await self.unit.apply(await self._volumes(logs))
        levels = Levels(self.service, self.unit, rows)
        for event in events:
            await self.unit.apply(project(event))
            await levels.count(event)
            await self._answer(event, rows)
        await self._segments(logs, events)
        await levels.write()
        if events and await self._at_the_end(own):
            await levels.compare(events[-1] if self.behind else None)
            self.behind = False
        elif events:
            self.behind = True
        await Checking(self.service, self.unit).check([item for item, _ in logs])
        for item, one in logs:
            await self._place_pending(item.event, [name for name, _ in one.ids])
        for event in events:
            if isinstance(event.data, FeedbackFlagged) and event.data.batch is None and event.data.prediction_id:
                await self._locate(event.data.flag, event.data.prediction_id, event)

    async def _at_the_end(self, own: Sequence[Received]) -> bool:
        """Whether, with these, all of feedback's own facts that the log holds are folded."""
        here: dict[TopicPartition, int] = {}
        for item in own:
            here[item.record.place] = max(here.get(item.record.place, 0), item.record.offset + 1)
        bounds = await self.service.log.bounds([TOPIC])
        if all(here.get(place, 0) >= bound.end for place, bound in bounds.items() if bound.end):
            return True
        offsets = await self.service.store.offsets()
        return all(max(here.get(place, 0), offsets.get((VIEWS, place), 0)) >= at.end for place, at in bounds.items())

    async def _fresh(self, received: Sequence[Received]) -> list[tuple[Received, Logged]]:
        """Batches that were not known, each once: what was sent to the log again bears the same id."""
        items = [item for item in received if isinstance(item.event.data, PredictionLogged)]
        known = {row["batch"] for row in await in_chunks(self.unit, "batches", "batch", [it.event.id for it in items])}
        fresh: list[tuple[Received, Logged]] = []
        for item in items:
            if item.event.id not in known:
                known.add(item.event.id)
                fresh.append((item, item.folded or logged(item.event, item.record) or Logged()))
        return fresh

    def _logged(self, item: Received, one: Logged) -> list[Change]:
        place: Row = {"partition": item.record.partition, "offset": item.record.offset}
        changes: list[Change] = [
            Put("batches", change.row | place) for change in project(item.event) if isinstance(change, Put)
        ]
        return changes + [Put("client_ids", {"id": name, "batch": item.event.id, "row": row}) for name, row in one.ids]

    async def _volumes(self, logs: Sequence[tuple[Received, Logged]]) -> list[Change]:
        counts: dict[tuple[str, int, str, str, int], int] = {}
        for item, one in logs:
            if isinstance(item.event.data, PredictionLogged):
                data = item.event.data
                for (day, segment), rows in one.volumes.items():
                    key = (data.deployment, data.version, day, segment, item.record.partition)
                    counts[key] = counts.get(key, 0) + rows
        changes: list[Change] = []
        for key, rows in counts.items():
            kept = await self.unit.get("volumes", *key)
            names = ("deployment", "version", "day", "segment", "partition")
            total = rows + (kept["predictions"] if kept else 0)
            changes.append(Put("volumes", {**dict(zip(names, key, strict=True)), "predictions": total}))
        return changes

    async def _segments(self, logs: Sequence[tuple[Received, Logged]], events: Sequence[Event]) -> None:
        """Learn of single flags which segment their prediction is of and whether a constant gave it, whichever of both
        comes first."""
        tables = {item.event.id: item.event.table for item, _ in logs if item.event.table is not None}
        instead = {
            item.event.id: item.event.data.fallback for item, _ in logs if isinstance(item.event.data, PredictionLogged)
        }
        waiting = await self._flags_in(sorted(tables))
        placed = [event.data for event in events if isinstance(event.data, FeedbackFlagged | FlagLocated)]
        changes: list[Change] = [
            _learned(row["id"], batches.read(tables[row["batch"]]), row["row"], instead[row["batch"]])
            for row in waiting
        ]
        wanted: dict[str, list[tuple[str, int]]] = {}
        for one in placed:
            if one.batch is not None and one.row is not None and one.batch not in tables:
                wanted.setdefault(one.batch, []).append((one.flag, one.row))
        known = [row for row in await in_chunks(self.unit, "batches", "batch", wanted) if row["offset"] is not None]
        async for row, table in tables_of(self.service.log, known):
            changes += [_learned(flag, table, at, row["fallback"]) for flag, at in wanted[row["batch"]]]
        await self.unit.apply(changes)

    async def _flags_in(self, names: Sequence[str]) -> list[Row]:
        found: list[Row] = []
        for start in range(0, len(names), _PAGE):
            where = (Where("batch", "in", names[start : start + _PAGE]),)
            found += await self.unit.find(Query("flags", where, limit=100_000, columns=("id", "batch", "row")))
        return found

    async def _answer(self, event: Event, rows: dict[str, Row]) -> None:
        """Tell those concerned, and pass corrected labels on."""
        flag: str = getattr(event.data, "flag", "")
        row = rows.get(flag) or (await self.unit.get("flags", flag) if flag else None)
        if row is None:
            return
        merged: list[Row] = []
        if isinstance(event.data, FlagResolved):
            merged = await self.unit.find(Query("flags", equal(merged_into=flag, state="merged"), limit=_PAGE))
        notices = notices_of(event, row, merged)
        self.told += [notice.row for notice in notices]
        await self.unit.apply(notices)
        await Labels(self.unit, f"/muniment/{self.service.name}").state(event, row, merged)

    async def _place_pending(self, event: Event, client_ids: Sequence[str]) -> None:
        conditions = [(Where("prediction_id", "prefix", f"{event.id}-"), *equal(located=False))]
        for start in range(0, len(client_ids), _PAGE):
            conditions.append((Where("prediction_id", "in", client_ids[start : start + _PAGE]), *equal(located=False)))
        for where in conditions:
            after: tuple[str, ...] | None = None
            while True:
                found = await self.unit.find(Query("flags", where, limit=_PAGE, after=after))
                for row in found:
                    await self._locate(row["id"], row["prediction_id"], event)
                if len(found) < _PAGE:
                    break
                after = (found[-1]["id"],)

    async def _locate(self, flag: str, prediction_id: str, cause: Event) -> None:
        try:
            place = await place_of(self.unit, prediction_id)
        except NoSuchRow:
            return  # the flag was raised before anybody could know; it stays pending
        if place is None:
            return
        await self.service.commands.handle_in(self.unit, flags, f"flag/{flag}", Locate(place), caused_by(cause))


def _places(logs: Sequence[tuple[Received, Logged]], events: Sequence[Event]) -> set[str]:
    """Names for all that a flag and its prediction could meet in."""
    names = {item.event.id for item, _ in logs} | {name for _, one in logs for name, _ in one.ids}
    for event in events:
        if isinstance(event.data, FeedbackFlagged | FlagLocated) and event.data.prediction_id:
            parsed = batches.parse_prediction_id(event.data.prediction_id)
            names.add(parsed[0] if parsed else event.data.prediction_id)
            if event.data.batch is not None:
                names.add(event.data.batch)
    return {f"feedback.place.{crc32(name.encode()) % _BUCKETS:02d}" for name in names}


def _levels(events: Sequence[Event], rows: dict[str, Row]) -> set[str]:
    keys = {key for row in rows.values() if (key := key_of(row)) is not None}
    for event in events:
        if isinstance(event.data, FeedbackFlagged | FlagLocated | PredictionsFlagged):
            key = key_of(event.data.model_dump(include={"deployment", "version"}))
            if key is not None:
                keys.add(key)
    return {lock_of(key) for key in keys}


def _learned(flag: str, table: pa.RecordBatch, at: int, fallback: str) -> Change:
    return Put("flags", {"id": flag, "segment": text_at(table, "segment", at), "fallback": fallback})
