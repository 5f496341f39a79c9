"""How much is open of each deployed version, and the limits that it reaches."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from services.feedback.domain import thresholds
from services.feedback.domain.limits import OPEN_STATES, Level, over
from services.feedback.projection import project
from shared.events.envelope import Event
from shared.events.feedback import FlagLimitsSet
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, equal
from shared.runtime.commands import caused_by
from shared.runtime.service import Service
from shared.runtime.settings import Settings

MAX_VOLUMES = 100_000
MAX_VERSIONS = 1_000
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
    _limits: dict[str, FlagLimitsSet] = field(default_factory=dict[str, FlagLimitsSet])

    async def count(self, event: Event) -> None:
        """Move the level by what the event changes of its flag, and state what that breaches."""
        for change in project(event):
            if isinstance(change, Put) and change.table == "flags":
                row = self.rows.setdefault(change.row["id"], {})
                before = _weight(row)
                row |= change.row
                await self._move(row, before, event)

    async def limit(self, event: Event, limits: FlagLimitsSet) -> None:
        """Hold every version of the deployment to new limits."""
        self._limits[limits.deployment] = limits
        rows = await self.unit.find(Query("levels", equal(deployment=limits.deployment), limit=MAX_VERSIONS))
        for row in rows:
            key = (limits.deployment, row["version"])
            of = await self.unit.find(Query("flags", equal(deployment=key[0], version=key[1]), limit=1))
            if of:
                await self._compare(key, of[0], await self._level(key), event)

    def changes(self) -> list[Change]:
        """The levels as they are now."""
        return [
            Put(
                "levels",
                {
                    "deployment": deployment,
                    "version": version,
                    "flags": level.flags,
                    "open_flags": level.open_flags,
                    "critical": level.critical,
                    "by_severity": dict(level.by_severity),
                },
            )
            for (deployment, version), level in self._levels.items()
        ]

    async def _move(self, row: Row, before: tuple[str, int] | None, event: Event) -> None:
        after, key = _weight(row), key_of(row)
        if after == before or key is None:
            return
        level = await self._level(key)
        if before is not None:
            level = level.moved(before[0], before[1], -1)  # type: ignore[arg-type]
        if after is not None:
            level = level.moved(after[0], after[1], 1)  # type: ignore[arg-type]
        self._levels[key] = level
        await self._compare(key, row, level, event)

    async def _level(self, key: Key) -> Level:
        if key not in self._levels:
            kept = await self.unit.get("levels", *key)
            columns = (kept["flags"], kept["open_flags"], kept["critical"], kept["by_severity"]) if kept else ()
            self._levels[key] = Level(*columns)
        return self._levels[key]

    async def _compare(self, key: Key, row: Row, level: Level, event: Event) -> None:
        deployment, version = key
        if deployment not in self._limits:
            kept = await self.unit.get("limits", deployment)
            self._limits[deployment] = limits_of(kept, deployment, self.service.settings)
        limits = self._limits[deployment]
        volume = await volume_of(self.unit, deployment, version) if limits.rate is not None else 0
        reached = over(limits, level, volume)
        where = equal(deployment=deployment, version=version)
        before = {one["kind"] for one in await self.unit.find(Query("breached", where)) if one["breached"]}
        for kind, by in reached.items():
            if kind not in before:
                command = thresholds.Breach(
                    deployment, row["model"], version, level.open_flags, kind, by, event.id, event.recorded
                )
                subject = f"flags/{deployment}/{version}"
                await self.service.commands.handle_in(self.unit, thresholds, subject, command, caused_by(event))
        moved = before ^ set(reached)
        await self.unit.apply([Put("breached", _breached(key, kind, kind in reached)) for kind in sorted(moved)])


async def volume_of(reader: "UnitOfWork", deployment: str, version: int) -> int:
    """Predictions of a version, altogether."""
    query = Query("volumes", equal(deployment=deployment, version=version), limit=MAX_VOLUMES, columns=("predictions",))
    return sum(row["predictions"] for row in await reader.find(query))


def flags_in(events: Sequence[Event]) -> set[str]:
    """The flags that these events concern."""
    changes = [change for event in events for change in project(event)]
    return {one.row["id"] for one in changes if isinstance(one, Put) and one.table == "flags"}


def _weight(row: Row) -> tuple[str, int] | None:
    """(severity, predictions) of a flag that is open, and whose version is known."""
    if key_of(row) is None or row.get("state") not in OPEN_STATES:
        return None
    return row["severity"], max(1, row.get("predictions") or 0)


def _breached(key: Key, kind: str, breached: bool) -> Row:
    return {"deployment": key[0], "version": key[1], "kind": kind, "breached": breached}
