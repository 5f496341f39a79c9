"""What the views know of deployments, versions and KPIs, kept in memory for the hot paths.

A version's signature and reference never change once registered, nor does a deployment's model: those are kept. Traffic
and KPIs may change and are read each time.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import Field

from services.monitor.domain.bins import FeatureBins, from_json
from services.monitor.domain.coding import decode
from services.monitor.domain.joined import MAX_GROUPS
from services.monitor.domain.kpi import Kpi
from services.monitor.domain.plan import Plan, plan_of
from services.monitor.domain.sketch import Sketch
from shared.events.registry import Formula, Part, Protected, Signature, Task
from shared.log.tables import Query, Row, equal

MAX_KEPT = 10_000
MAX_KPIS = 100


class Reader(Protocol):
    """What a store and a unit of work have in common."""

    @property
    def get(self) -> Callable[..., Awaitable[Row | None]]: ...

    @property
    def find(self) -> Callable[[Query], Awaitable[list[Row]]]: ...


class Judged(Part):
    """What was registered of how a version is judged."""

    task: Task | None = None
    classes: tuple[str, ...] = ()
    protected: tuple[Protected, ...] = ()
    metrics: dict[str, float] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Version:
    """A registered version: its signature and what its reference looked like."""

    model: str
    version: int
    signature: Signature
    bins: dict[str, FeatureBins]
    reference: Sketch
    judged: Judged

    def plan(self, max_groups: int = MAX_GROUPS) -> Plan:
        """What of its predictions is counted against outcomes, and by which groups, so many of an attribute at most."""
        told = self.judged
        return plan_of(self.signature, told.task, told.classes, told.protected, max_groups)

    @property
    def scores(self) -> list[str]:
        """The number outputs in the order of the signature."""
        return [one.name for one in self.signature.outputs if one.type in ("double", "long")]


@dataclass(slots=True)
class Facts:
    """Reads facts through a bounded memory. Only what is there is kept, so a miss is looked up again."""

    _models: dict[str, str] = field(default_factory=dict[str, str])
    _versions: dict[tuple[str, int], Version] = field(default_factory=dict[tuple[str, int], Version])

    def known(self, deployment: str, version: int) -> Version | None:
        """The version that a deployment may have run, if memory has it."""
        model = self._models.get(deployment)
        return self._versions.get((model, version)) if model is not None else None

    async def model(self, reader: Reader, deployment: str) -> str | None:
        """The model that a deployment serves."""
        if deployment not in self._models:
            row = await reader.get("deployments", deployment)
            if row is None:
                return None
            _bound(self._models)
            self._models[deployment] = row["model"]
        return self._models[deployment]

    async def version(self, reader: Reader, model: str, version: int) -> Version | None:
        """A registered version."""
        key = (model, version)
        if key not in self._versions:
            row = await reader.get("versions", model, version)
            if row is None:
                return None
            _bound(self._versions)
            self._versions[key] = Version(
                model,
                version,
                Signature.model_validate(row["signature"]),
                from_json(row["bins"]),
                decode(row["reference"]),
                Judged.model_validate(row["judged"] or {}),
            )
        return self._versions[key]


async def kpis_of(reader: Reader, model: str) -> list[Kpi]:
    """The KPIs of the goal that a model serves, by name."""
    row = await reader.get("models", model)
    if row is None or row["goal"] is None:
        return []
    rows = await reader.find(Query("kpis", equal(goal=row["goal"]), ("kpi",), MAX_KPIS))
    return [
        Kpi(one["kpi"], one["unit"], one["direction"], one["target"], Formula.model_validate(one["formula"]))
        for one in rows
    ]


def _bound(kept: dict[Any, Any]) -> None:
    if len(kept) >= MAX_KEPT:
        kept.pop(next(iter(kept)))
