"""What several endpoints ask: does it exist, and if not, what exists nearby?"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from services.registry.api.bodies import DatasetItem
from services.registry.domain import datasets, goals, kpis, models
from services.registry.domain.model_state import ModelState
from shared.events.registry import DatasetRef
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where
from shared.runtime.http import EARLIEST
from shared.runtime.problems import Problem, not_found
from shared.runtime.service import Service

Limit = Annotated[int, Field(ge=1, le=1_000)]
MAX_NAMES = 1_000


def ever(column: str) -> tuple[Where, ...]:
    """That a moment, or a place in a stream, is known: it always is, but only so is an index read backwards by it."""
    return (Where(column, ">", 0 if column == "sequence" else EARLIEST),)


async def names(service: Service, table: str) -> list[str]:
    """Up to MAX_NAMES names of a table, for a hint."""
    rows = await service.store.find(Query(table, limit=MAX_NAMES, columns=("name",)))
    return [row["name"] for row in rows]


async def one(service: Service, kind: str, table: str, name: str) -> Row:
    """A row by its name. Raises Problem 404 with the names nearby."""
    row = await service.store.get(table, name)
    if row is None:
        not_found(kind, name, await names(service, table))
    return row


async def need_goal(service: Service, unit: UnitOfWork, name: str) -> None:
    """Raises Problem 404 where nobody has stated the goal."""
    _, goal = await service.commands.state_in(unit, goals, f"goal/{name}")
    if goal is None:
        not_found("goal", name, await names(service, "goals"))


async def need_kpi(service: Service, unit: UnitOfWork, name: str) -> None:
    """Raises Problem 404 where nobody has defined the KPI."""
    _, kpi = await service.commands.state_in(unit, kpis, f"kpi/{name}")
    if kpi is None:
        not_found("kpi", name, await names(service, "kpis"))


async def model_state(service: Service, unit: UnitOfWork, name: str) -> ModelState:
    """A model from its stream. Raises Problem 404 with the names nearby."""
    _, state = await service.commands.state_in(unit, models, f"model/{name}")
    if state.registered is None:
        not_found("model", name, await names(service, "models"))
    return state


async def dataset_refs(service: Service, unit: UnitOfWork, items: Sequence[DatasetItem]) -> tuple[DatasetRef, ...]:
    """Each dataset with its version, the newest where none was named. Raises Problem 404."""
    found: list[DatasetRef] = []
    for item in items:
        _, newest = await service.commands.state_in(unit, datasets, f"dataset/{item.dataset}")
        if newest is None:
            not_found("dataset", item.dataset, await names(service, "datasets"))
        version = item.version or newest.version
        if version > newest.version:
            detail = f"Dataset '{item.dataset}' has no version {version}; its newest is {newest.version}."
            raise Problem(404, "unknown-dataset", detail, "Register that version first.")
        found.append(DatasetRef(dataset=item.dataset, version=version))
    return tuple(found)
