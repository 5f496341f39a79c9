"""The policies in force, read from their streams, with what else gates are judged by: the moment and open flags."""

from datetime import datetime
from typing import Any

from services.registry.domain import models, policies
from services.registry.domain.gate import InForce, OpenFlag, Seen
from shared.events.registry import PolicyAdopted, Stage
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.commands import now
from shared.runtime.service import Service

MAX_FLAGS = 10_000


async def policies_in(
    service: Service, unit: UnitOfWork, model: str | None = None, at: datetime | None = None, new: bool = False
) -> InForce:
    """Of every stage the policy in force, with a model's open flags (None: all), to judge at `at` (None: now). `new`:
    to judge a version that is only being registered, on which there can be no flag."""
    found: dict[Stage, PolicyAdopted] = {}
    for stage in policies.STAGES:
        _, state = await service.commands.state_in(unit, policies, f"policy/{stage}")
        found[stage] = policies.in_force(state, stage)
    return InForce(found, Seen(at or now(), () if new else await open_flags(unit, model)))


async def read_ahead(service: Service, unit: UnitOfWork, model: str) -> None:
    """Read a model's stream and those of the policies at once, for a command on the model."""
    streams: dict[str, Any] = {f"policy/{stage}": policies for stage in policies.STAGES}
    await service.commands.read_ahead(unit, {f"model/{model}": models, **streams})


async def open_flags(unit: UnitOfWork, model: str | None) -> tuple[OpenFlag, ...]:
    """What the registry knows of open flags, at most MAX_FLAGS."""
    of = equal(model=model) if model is not None else (Where("model", "!=", None),)
    rows = await unit.find(Query("flags", (*of, Where("closed", "=", None)), limit=MAX_FLAGS))
    return tuple(flag_of(row) for row in rows if row["severity"] is not None and row["model"] is not None)


def flag_of(row: Row) -> OpenFlag:
    """A row of the view as what a gate is judged by."""
    return OpenFlag(row["flag"], row["model"], row["version"], row["regraded"] or row["severity"])
