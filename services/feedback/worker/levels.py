"""How much is open of each deployed version, and the limits that it reaches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.feedback.domain import thresholds
from services.feedback.domain.limits import OPEN_STATES, Level, over
from services.feedback.projection import project
from shared.events.envelope import Event
from shared.events.feedback import FlagLimitsSet, Severity
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, Where, equal
from shared.runtime.commands import caused_by
from shared.runtime.service import Service
from shared.runtime.settings import Settings

MAX_VOLUMES = 100_000
MAX_VERSIONS = 1_000
MAX_FLAGS = 100_000
Key = tuple[str, int]


def key_of(row: Row) -> Key | None:
    """The deployed version that a flag's row counts for."""
    if row.get("deployment") is None or row.get("version") is None:
        return None
    return row["deployment"], row["version"]


def lock_of(key: Key) -> str:
    return f"feedback.level.{key[0]}/{key[1]}"


def limits_of(kept: Row | None, deployment: str, settings: Settings) -> FlagLimitsSet:
    """The limits in force: those set, or the number of open flags that the settings name."""
    if kept is not None:
        return FlagLimitsSet.model_validate({"deployment": deployment, **kept["limits"]})
    return FlagLimitsSet(deployment=deployment, open_flags=settings.flags_open_threshold)


@dataclass(slots=True)
class Levels:
    """Counts within one unit of work. `rows`: of every flag that its events concern, as they were before them."""

    service: Service
    unit: UnitOfWork
    rows: dict[str, Row]
    _levels: dict[Key, Level] = field(default_factory=dict[Key, Level])
    _causes: dict[Key, Event] = field(default_factory=dict[Key, Event])

    async def count(self, event: Event) -> None:
        """Move the level by what the event changes of its flag."""
        for change in project(event):
            if isinstance(change, Put) and change.table == "flags":
                row = self.rows.setdefault(change.row["id"], {})
                before = _weight(row)
                row |= change.row
                await self._move(row, before, event)
        if isinstance(event.data, FlagLimitsSet):
            for row in await self._known(event.data.deployment):
                self._causes[row["deployment"], row["version"]] = event

    async def write(self) -> None:
        """Keep the levels as they are now."""
        await self.unit.apply([_kept(key, level) for key, level in self._levels.items()])

    async def compare(self, all_of: Event | None) -> None:
        """State which limits are reached now, and which no more: of the versions that moved, or of all, with the event
        `all_of` as their cause. Raises Conflict."""
        causes = dict(self._causes)
        if all_of is not None:
            causes = {(row["deployment"], row["version"]): all_of for row in await self._known()} | causes
        for key, cause in sorted(causes.items()):
            await self._compare(key, cause)

    async def _known(self, deployment: str | None = None) -> list[Row]:
        where = equal(deployment=deployment) if deployment is not None else ()
        return await self.unit.find(Query("levels", where, limit=MAX_VERSIONS))

    async def _move(self, row: Row, before: tuple[Severity, int] | None, event: Event) -> None:
        after, key = _weight(row), key_of(row)
        if after == before or key is None:
            return
        level = await self._level(key)
        if before is not None:
            level = level.moved(*before, -1)
        if after is not None:
            level = level.moved(*after, 1)
        self._levels[key], self._causes[key] = level, event

    async def _level(self, key: Key) -> Level:
        if key not in self._levels:
            kept = await self.unit.get("levels", *key)
            columns = (kept["flags"], kept["open_flags"], kept["critical"], kept["by_severity"]) if kept else ()
            self._levels[key] = Level(*columns)
        return self._levels[key]

    async def _compare(self, key: Key, cause: Event) -> None:
        deployment, version = key
        level = await self._level(key)
        limits = limits_of(await self.unit.get("limits", deployment), deployment, self.service.settings)
        volume = of_constants = 0
        if limits.rate is not None:
            volume = await volume_of(self.unit, deployment, version)
            of_constants = await self._of_constants(deployment, version)
        reached = over(limits, level, volume, of_constants)
        subject = f"flags/{deployment}/{version}"
        _, said = await self.service.commands.state_in(self.unit, thresholds, subject)
        if said == frozenset(reached):
            return
        of = await self.unit.find(Query("flags", equal(deployment=deployment, version=version), limit=1))
        model = of[0]["model"] if of else ""
        command = thresholds.Compare(deployment, model, version, level.open_flags, reached)
        await self.service.commands.handle_in(self.unit, thresholds, subject, command, caused_by(cause))

    async def _of_constants(self, deployment: str, version: int) -> int:
        """Open flags on what constants answered in place of the version."""
        where = (*equal(deployment=deployment, version=version), Where("fallback", "=", "constant"))
        query = Query("flags", (*where, Where("state", "in", sorted(OPEN_STATES))), limit=MAX_FLAGS, columns=("id",))
        return len(await self.unit.find(query))


def _kept(key: Key, level: Level) -> Change:
    row: Row = {"deployment": key[0], "version": key[1], "flags": level.flags, "open_flags": level.open_flags}
    return Put("levels", row | {"critical": level.critical, "by_severity": dict(level.by_severity)})


async def volume_of(reader: "UnitOfWork", deployment: str, version: int) -> int:
    """Predictions of a version, altogether."""
    query = Query("volumes", equal(deployment=deployment, version=version), limit=MAX_VOLUMES, columns=("predictions",))
    return sum(row["predictions"] for row in await reader.find(query))


def flags_in(events: Sequence[Event]) -> set[str]:
    """The flags that these events concern."""
    changes = [change for event in events for change in project(event)]
    return {one.row["id"] for one in changes if isinstance(one, Put) and one.table == "flags"}


def _weight(row: Row) -> tuple[Severity, int] | None:
    """(severity, predictions) of a flag that is open, and whose version is known."""
    if key_of(row) is None or row.get("state") not in OPEN_STATES:
        return None
    return row["severity"], max(1, row.get("predictions") or 0)
