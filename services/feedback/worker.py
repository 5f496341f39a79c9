"""Folds flags and batches into the views, places flags whose prediction came later, and states breached thresholds."""

from collections.abc import Iterable, Sequence
from zlib import crc32

from services.feedback.domain import flags, thresholds
from services.feedback.domain.flags import Locate, Place
from services.feedback.projection import project
from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.envelope import Event
from shared.events.feedback import FeedbackFlagged, FlagLocated, FlagResolved
from shared.events.monitor import PredictionLogged
from shared.log.store import Conflict, UnitOfWork
from shared.log.tables import Change, Put, Query, Row, Where, equal
from shared.runtime.commands import caused_by
from shared.runtime.consumer import Consumer, NotYet, Received
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

TOPICS = ("muniment.feedback", TOPIC_PREDICTIONS)
_BUCKETS = 64


def consumers(service: Service) -> list[Consumer]:
    """One consumer: a flag and its prediction meet in the same views, whichever comes first."""

    async def handle(unit: UnitOfWork, received: Sequence[Received]) -> None:
        try:
            await _Folding(service, unit).handle([item.event for item in received])
        except Conflict as error:
            raise NotYet(f"somebody else writes to the same flag: {error}") from error

    return [Consumer("feedback.views", TOPICS, service.log, service.store, handle, service.settings, together=True)]


def periodic(service: Service) -> list[Periodic]:
    """Nothing runs beside the consumer."""
    return []


class NoSuchRow(Exception):
    """A prediction id names a known batch, and a row that it does not have."""


async def place_of(reader: UnitOfWork, prediction_id: str) -> Place | None:
    """Where a prediction lies; None while its batch or its client's id is not known (yet). Raises NoSuchRow."""
    parsed = batches.parse_prediction_id(prediction_id)
    if parsed is None:
        known = await reader.get("client_ids", prediction_id)
        parsed = (known["batch"], known["row"]) if known else None
    batch = await reader.get("batches", parsed[0]) if parsed else None
    if batch is None or parsed is None:
        return None
    if parsed[1] >= batch["rows"]:
        raise NoSuchRow(f"Batch {parsed[0]} has no row {parsed[1]}.")
    return Place(batch["deployment"], batch["model"], batch["version"], batch["batch"], parsed[1])


class _Folding:
    """One unit of work of the consumer."""

    def __init__(self, service: Service, unit: UnitOfWork) -> None:
        self.service, self.unit = service, unit

    async def handle(self, events: Sequence[Event]) -> None:
        """Two workers may fold a flag and its batch at once: both hold the same name, so that one sees the other."""
        ids = _client_ids(events)
        wanted = {row["id"] for row in ids} | {event.id for event in events if isinstance(event.data, PredictionLogged)}
        pending = [event for event in events if isinstance(event.data, FeedbackFlagged) and event.data.batch is None]
        wanted |= {_wanted(event.data.prediction_id) for event in pending if isinstance(event.data, FeedbackFlagged)}
        await self.unit.lock([f"feedback.place.{crc32(name.encode()) % _BUCKETS}" for name in wanted])
        changes: list[Change] = [change for event in events for change in project(event)]
        await self.unit.apply([*changes, *(Put("client_ids", row) for row in ids)])
        for event in events:
            if isinstance(event.data, PredictionLogged):
                await self._place_pending(event, [row["id"] for row in ids if row["batch"] == event.id])
        for event in pending:
            await self._place(event)
        for event in events:
            await self._measure(event)

    async def _place_pending(self, event: Event, client_ids: Sequence[str]) -> None:
        start = f"{event.id}-"
        conditions = [(Where("prediction_id", "prefix", start), *equal(located=False))]
        if client_ids:
            conditions.append((Where("prediction_id", "in", list(client_ids)), *equal(located=False)))
        for where in conditions:
            for row in await self.unit.find(Query("flags", where, limit=self.service.settings.max_page)):
                await self._locate(row["id"], row["prediction_id"], event)

    async def _place(self, event: Event) -> None:
        if isinstance(event.data, FeedbackFlagged):
            await self._locate(event.data.flag, event.data.prediction_id, event)

    async def _locate(self, flag: str, prediction_id: str, cause: Event) -> None:
        try:
            place = await place_of(self.unit, prediction_id)
        except NoSuchRow:
            return  # the flag was raised before anybody could know; it stays pending
        if place is None:
            return
        await self.service.commands.handle_in(self.unit, flags, f"flag/{flag}", Locate(place), caused_by(cause))

    async def _measure(self, event: Event) -> None:
        """Count the open flags of the version that this event concerns; state a breach when they become too many."""
        if not isinstance(event.data, FeedbackFlagged | FlagLocated | FlagResolved):
            return
        flag = await self.unit.get("flags", event.data.flag)
        if flag is None or flag["version"] is None:
            return
        limit = self.service.settings.flags_open_threshold
        where = (*equal(deployment=flag["deployment"], version=flag["version"]), Where("state", "!=", "resolved"))
        count = len(await self.unit.find(Query("flags", where, limit=limit + 1, columns=("id",))))
        level = await self.unit.get("levels", flag["deployment"], flag["version"])
        if count >= limit and not (level and level["breached"]):
            await self._breach(flag, count, event)
        row: Row = {"open_flags": count, "breached": count >= limit}
        await self.unit.apply([Put("levels", {"deployment": flag["deployment"], "version": flag["version"], **row})])

    async def _breach(self, flag: Row, count: int, event: Event) -> None:
        deployment, version = flag["deployment"], flag["version"]
        limit = self.service.settings.flags_open_threshold
        command = thresholds.Breach(deployment, flag["model"], version, count, limit, event.id)
        subject = f"flags/{deployment}/{version}"
        await self.service.commands.handle_in(self.unit, thresholds, subject, command, caused_by(event))


def _wanted(prediction_id: str) -> str:
    parsed = batches.parse_prediction_id(prediction_id)
    return parsed[0] if parsed else prediction_id


def _client_ids(events: Iterable[Event]) -> list[Row]:
    rows: list[Row] = []
    for event in events:
        if isinstance(event.data, PredictionLogged) and event.data.client_ids and event.table is not None:
            names = batches.read(event.table).column("prediction_id").to_pylist()
            rows += [{"id": name, "batch": event.id, "row": row} for row, name in enumerate(names) if name is not None]
    return rows
