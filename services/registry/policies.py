"""The policies in force, read from their streams, with what else gates are judged by: the moment and open flags."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from services.registry.domain import models, policies
from services.registry.domain.gate import InForce, OpenFlag, Seen
from shared.events.registry import PolicyAdopted, Stage
from shared.log.store import UnitOfWork
from shared.log.tables import Each, Query, Row, Where, equal
from shared.runtime.commands import now
from shared.runtime.service import Service

MAX_FLAGS = 10_000


async def policies_in(
    service: Service, unit: UnitOfWork, model: str | None = None, at: datetime | None = None, new: bool = False
) -> InForce:
    """Of every stage the policy in force, with a model's open flags (None: all), to judge at `at` (None: now). `new`:
    to judge a version that is only being registered, on which there can be no flag."""
    return InForce(await in_force(service, unit), Seen(at or now(), () if new else await open_flags(unit, model)))


async def in_force(service: Service, unit: UnitOfWork) -> dict[Stage, PolicyAdopted]:
    """Of every stage the policy in force."""
    found: dict[Stage, PolicyAdopted] = {}
    for stage in policies.STAGES:
        _, state = await service.commands.state_in(unit, policies, f"policy/{stage}")
        found[stage] = policies.in_force(state, stage)
    return found


async def policies_of(service: Service, unit: UnitOfWork, names: Sequence[str]) -> dict[str, InForce]:
    """`policies_in` for each of these models, which are asked for at once, their streams too."""
    await read_ahead(service, unit, *names)
    flags, found, moment = await flags_of(unit, names), await in_force(service, unit), now()
    return {name: InForce(found, Seen(moment, tuple(flags[name]))) for name in names}


async def read_ahead(service: Service, unit: UnitOfWork, *names: str) -> None:
    """Read the streams of models and those of the policies at once, for commands on the models."""
    streams: dict[str, Any] = {f"policy/{stage}": policies for stage in policies.STAGES}
    streams |= {f"model/{name}": models for name in names}
    await service.commands.read_ahead(unit, streams)


async def open_flags(unit: UnitOfWork, model: str | None) -> tuple[OpenFlag, ...]:
    """What the registry knows of open flags, at most MAX_FLAGS."""
    of = equal(model=model) if model is not None else (Where("model", "!=", None),)
    rows = await unit.find(Query("flags", (*of, Where("closed", "=", None)), limit=MAX_FLAGS))
    return tuple(_known(rows))


async def flags_of(unit: UnitOfWork, names: Iterable[str]) -> dict[str, list[OpenFlag]]:
    """Open flags by model, at most MAX_FLAGS of each."""
    found: dict[str, list[OpenFlag]] = {name: [] for name in names}
    each = Each((("model", "="),), tuple((name,) for name in found))
    for flag in _known(await unit.find(Query("flags", (Where("closed", "=", None),), limit=MAX_FLAGS, each=each))):
        found[flag.model].append(flag)
    return found


def _known(rows: Sequence[Row]) -> Iterator[OpenFlag]:
    """Those of which both what they say and where they stand has come."""
    return (flag_of(row) for row in rows if row["severity"] is not None and row["model"] is not None)


def flag_of(row: Row) -> OpenFlag:
    """A row of the view as what a gate is judged by."""
    return OpenFlag(row["flag"], row["model"], row["version"], row["regraded"] or row["severity"])
