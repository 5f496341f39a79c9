"""Business rules, checked against every batch of predictions: each violation is flagged by the rule, and counted.

A prediction is held to the rules that were in force when the log took it, so that a rebuild counts the same. The flags
of a rule are many-prediction flags, one for each row of its decision table, version and day; their streams remember the
batches they named, so that a batch that is folded again is flagged no second time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from services.feedback.domain import flags
from services.feedback.domain.rules import NONE, violated
from services.feedback.worker.due import due_of
from services.feedback.worker.flagging import By, Chosen, Kind, chosen, flag
from shared.events import batches
from shared.events.envelope import Event
from shared.events.feedback import Decision, RuleAdopted, RuleRetired
from shared.events.monitor import PredictionLogged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, Where, equal
from shared.runtime.consumer import Received
from shared.runtime.service import Service

MAX_VERSIONS = 10_000
Rate = tuple[str, str, int, str, int]


def terms_of(event: Event) -> list[Change]:
    """From when until when a version of a rule is in force, by the log's own clock. Pure."""
    match event.data:
        case RuleAdopted() as rule:
            row: Row = {"rule": rule.rule, "version": rule.version, "deployment": rule.deployment}
            row |= {"table": [one.model_dump(mode="json") for one in rule.table], "since": event.recorded}
            changes: list[Change] = [Put("rule_versions", row)]
            if rule.version > 1:
                before: Row = {"rule": rule.rule, "version": rule.version - 1}
                changes.append(Put("rule_versions", before | {"until": event.recorded}))
            return changes
        case _:
            return []


@dataclass(slots=True)
class Checking:
    """Within one unit of work."""

    service: Service
    unit: UnitOfWork
    _rates: dict[Rate, tuple[int, int]] = field(default_factory=dict[Rate, tuple[int, int]])
    _found: dict[str, tuple[Kind, Event, list[Chosen]]] = field(
        default_factory=dict[str, tuple[Kind, Event, list[Chosen]]]
    )

    async def retire(self, event: Event) -> None:
        """End the version in force of the rule that this event retires, if it retires one."""
        if not isinstance(event.data, RuleRetired):
            return
        for row in await self.unit.find(Query("rule_versions", equal(rule=event.data.rule), ("-version",), 1)):
            ended: Row = {"rule": row["rule"], "version": row["version"], "until": event.recorded}
            await self.unit.apply([Put("rule_versions", ended)])

    async def check(self, items: Sequence[Received]) -> None:
        """Hold these batches to the rules of their deployments. Raises Conflict."""
        logged = [item for item in items if isinstance(item.event.data, PredictionLogged)]
        names = sorted({_data(item).deployment for item in logged})
        if not names:
            return
        query = Query("rule_versions", (Where("deployment", "in", names),), limit=MAX_VERSIONS)
        rules = await self.unit.find(query)
        if not rules:
            return
        tables = {(rule["rule"], rule["version"]): _table(rule) for rule in rules}
        for item in logged:
            for rule in rules:
                if rule["deployment"] == _data(item).deployment and _holds(rule, item.record.recorded):
                    self._one(item, rule, tables[rule["rule"], rule["version"]])
        for name, (kind, cause, found) in sorted(self._found.items()):
            await self._flag(name, kind, cause, found)
        await self._count()

    def _one(self, item: Received, rule: Row, rows: Sequence[Decision]) -> None:
        data = _data(item)
        table = batches.read(item.event.table or b"")
        places = violated(table, rows)
        day = data.start.astimezone(UTC).date().isoformat()
        key = (rule["rule"], data.deployment, data.version, day, item.record.partition)
        checked, wrong = self._rates.get(key, (0, 0))
        self._rates[key] = (checked + table.num_rows, wrong + int((places != NONE).sum()))
        for place, row in enumerate(rows):
            one = chosen(item.event.id, table, places == place)
            if one is not None:
                name = _name(rule["rule"], rule["version"], place, data.deployment, data.version, day)
                kind = Kind(
                    data.deployment,
                    data.model,
                    data.version,
                    row.category,
                    row.severity,
                    row.comment or f"Rule '{rule['rule']}' is violated.",
                    "rule",
                    rule=rule["rule"],
                    due=due_of(self.service.settings, row.severity, item.record.recorded),
                )
                self._found.setdefault(name, (kind, item.event, []))[2].append(one)

    async def _flag(self, name: str, kind: Kind, cause: Event, found: Sequence[Chosen]) -> None:
        _, state = await self.service.commands.state_in(self.unit, flags, f"flag/{name}")
        fresh = [one for one in found if one.batch not in state.batches]
        if fresh:
            source = f"/muniment/{self.service.name}"
            by = By(source, f"rule:{kind.rule}", cause.time, cause.id, cause.correlationid)
            await flag(self.service, self.unit, kind, name, fresh, by)

    async def _count(self) -> None:
        changes: list[Change] = []
        for key, (checked, wrong) in self._rates.items():
            kept = await self.unit.get("rule_rates", *key)
            row: Row = dict(zip(("rule", "deployment", "version", "day", "partition"), key, strict=True))
            row["checked"] = checked + (kept["checked"] if kept else 0)
            row["violated"] = wrong + (kept["violated"] if kept else 0)
            changes.append(Put("rule_rates", row))
        await self.unit.apply(changes)


def _data(item: Received) -> PredictionLogged:
    assert isinstance(item.event.data, PredictionLogged)  # noqa: S101  the caller chose it
    return item.event.data


def _holds(rule: Row, recorded: datetime) -> bool:
    since, until = rule["since"], rule["until"]
    return since is not None and since <= recorded and (until is None or recorded < until)


def _table(rule: Mapping[str, object]) -> tuple[Decision, ...]:
    rows = rule["table"]
    return tuple(Decision.model_validate(row) for row in rows) if isinstance(rows, list) else ()


def _name(*of: object) -> str:
    """The flag of a row of a rule's table, for a version and a day: an id that follows from these."""
    digest = sha256("\n".join(map(str, of)).encode()).digest()
    return str(UUID(bytes=digest[:16]))
