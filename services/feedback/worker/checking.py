"""Business rules, checked against every batch of predictions: each violation is flagged by the rule, and counted.

A prediction is held to the rules that were in force when the log took it, as their stream tells, whatever of the log
was folded before: so a rebuild counts the same. What a constant answered is held to none: its flags would be the
version's, which did not answer. The flags of a rule stand for many predictions, one flag for each row
of its decision table, version and day; their streams remember the batches they named, so that a batch that is folded
again is flagged no second time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC
from hashlib import sha256
from uuid import UUID

from services.feedback.domain import flags, rules
from services.feedback.worker.due import due_of
from services.feedback.worker.flagging import By, Chosen, Kind, chosen, flag
from shared.events import batches
from shared.events.envelope import Event
from shared.events.feedback import RuleAdopted
from shared.events.monitor import PredictionLogged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Row
from shared.runtime.consumer import Received
from shared.runtime.service import Service

Rate = tuple[str, str, int, str, int]


@dataclass(slots=True)
class Checking:
    """Within one unit of work."""

    service: Service
    unit: UnitOfWork
    _rates: dict[Rate, tuple[int, int]] = field(default_factory=dict[Rate, tuple[int, int]])
    _found: dict[str, tuple[Kind, Event, list[Chosen]]] = field(
        default_factory=dict[str, tuple[Kind, Event, list[Chosen]]]
    )

    async def check(self, items: Sequence[Received]) -> None:
        """Hold these batches to the rules of their deployments. Raises Conflict."""
        logged = [
            item for item in items if isinstance(item.event.data, PredictionLogged) and not item.event.data.fallback
        ]
        for deployment in sorted({_data(item).deployment for item in logged}):
            _, known = await self.service.commands.state_in(self.unit, rules, f"rules/{deployment}")
            for item in logged if known else ():
                if _data(item).deployment == deployment:
                    for rule in rules.in_force(known, item.record.recorded):
                        self._one(item, rule)
        for name, (kind, cause, found) in sorted(self._found.items()):
            await self._flag(name, kind, cause, found)
        await self._count()

    def _one(self, item: Received, rule: RuleAdopted) -> None:
        data = _data(item)
        table = batches.read(item.event.table or b"")
        places = rules.violated(table, rule.table)
        day = data.start.astimezone(UTC).date().isoformat()
        key = (rule.rule, data.deployment, data.version, day, item.record.partition)
        checked, wrong = self._rates.get(key, (0, 0))
        self._rates[key] = (checked + table.num_rows, wrong + int((places != rules.NONE).sum()))
        for place, row in enumerate(rule.table):
            one = chosen(item.event.id, table, places == place)
            if one is not None:
                name = _name(rule.rule, rule.version, place, data.deployment, data.version, day)
                kind = Kind(
                    data.deployment,
                    data.model,
                    data.version,
                    row.category,
                    row.severity,
                    row.comment or f"Rule '{rule.rule}' is violated.",
                    "rule",
                    rule=rule.rule,
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


def _name(*of: object) -> str:
    """The flag of a row of a rule's table, for a version and a day: an id that follows from these."""
    digest = sha256("\n".join(map(str, of)).encode()).digest()
    return str(UUID(bytes=digest[:16]))
