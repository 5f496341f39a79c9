"""Versions of a model: what they are, what was found out about them, who approved, and whether the gate is open."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import VersionBody
from services.registry.api.given import References, given, referenced
from services.registry.api.known import Limit, model_state, one
from services.registry.domain import models
from services.registry.domain.diff import diff
from services.registry.domain.merging import older
from services.registry.domain.model_state import ModelState
from services.registry.policies import policies_in, read_ahead
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Where, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import Role
from shared.runtime.paging import bad_cursor
from shared.runtime.service import Service

_BUILDERS = (Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.SERVICE)
MAX_SHOWN = 1_000
MAX_OPEN = 500
"""Versions that the cursor of a history names as those to go on from."""
_FROM = "from."
_OF_VERSION = "/v1/models/{name}/versions/{version}"


def add_versions(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _registering(routes, service)
    _one(routes, service)
    _compared(routes, service)


def _registering(routes: APIRouter, service: Service) -> None:
    references = References(service.settings)
    service.on_close.append(references.close)
    building, seeing = Depends(writing(service, *_BUILDERS)), Depends(reading(service))

    @routes.post("/v1/models/{name}/versions", status_code=201)
    async def register_version(name: str, body: VersionBody, call: Annotated[Call, building]) -> JSONResponse:
        """Register the next version, frozen from then on."""
        context = call.context(body.at)
        read = await referenced(references, call, name, body)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await read_ahead(service, unit, name)
            await model_state(service, unit, name)
            command = models.RegisterVersion(
                await given(service, unit, name, body, *read),
                body.parents,
                service.settings.reference_values,
                context.actor,
                context.event_id,
                await policies_in(service, unit, name, new=True),
            )
            status, answer = await stated(service, unit, models, f"model/{name}", command, context)
            state = await model_state(service, unit, name)
            return status, answer | {"model": name, "version": state.last}

        return await call.in_unit(work)

    @routes.get("/v1/models/{name}/versions")
    async def list_versions(
        name: str,
        call: Annotated[Call, seeing],
        branch: str | None = None,
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Versions, the newest first, of one branch or of all."""
        await one(service, "model", "models", name)
        where = equal(model=name, branch=branch) if branch is not None else equal(model=name)
        return await page(service, Query("versions", where, ("-version",), limit), cursor)


def _one(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get(_OF_VERSION)
    async def one_version(name: str, version: int, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A version with its evidence, approvals, gates and aliases; `reference` holds the number of values kept."""
        async with service.store.begin() as unit:
            state = await model_state(service, unit, name)
        about = models.version_of(state, version)
        row = await service.store.get("versions", name, version) or about.registered.model_dump(mode="json")
        mine = equal(model=name, version=version)
        evidence = await service.store.find(Query("evidence", mine, ("-at",), MAX_SHOWN))
        approvals = await service.store.find(Query("approvals", mine, ("-at",), MAX_SHOWN))
        gates = {stage: gate.allowed for stage, gate in about.gates.items()}
        aliases = sorted(alias for alias, number in state.aliases.items() if number == version)
        said = {"tags": dict(about.marks.tags), "description": about.marks.description, "retired": about.retired}
        found = {"evidence": evidence[::-1], "approvals": approvals[::-1], "gates": gates, "aliases": aliases}
        return row | said | found

    @routes.get(_OF_VERSION + "/reference")
    async def reference(name: str, version: int, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """What each feature looked like in training, as values."""
        await one(service, "model", "models", name)
        row = await service.store.get("reference_samples", name, version)
        return {"model": name, "version": version, "reference": row["reference"] if row else {}}


def _compared(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get(_OF_VERSION + "/diff/{other}")
    async def difference(name: str, version: int, other: int, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """In what two versions differ, from the first (`a`) to the second (`b`)."""
        async with service.store.begin() as unit:
            state = await model_state(service, unit, name)
        a, b = models.version_of(state, version).registered, models.version_of(state, other).registered
        return {"model": name, "a": version, "b": other} | diff(a, b)

    @routes.get(_OF_VERSION + "/history")
    async def history(
        name: str, version: int, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """The version and all its ancestors, the newest first."""
        async with service.store.begin() as unit:
            state = await model_state(service, unit, name)
        models.version_of(state, version)
        size = min(limit, service.settings.max_page)
        starts, below = _starts(state, version, cursor)
        shown, following = older(state, starts, size, below)
        where = (*equal(model=name), Where("version", "in", shown))
        rows = await service.store.find(Query("versions", where, ("-version",), size))
        return {"items": rows, "next": _following(shown, following)}


def _starts(state: ModelState, version: int, cursor: str | None) -> tuple[list[int], int | None]:
    """Where a page of a history starts, and under which number it begins. Raises Problem 422."""
    if cursor is None:
        return [version], None
    numbers = cursor.removeprefix(_FROM).split(".")
    if len(numbers) > MAX_OPEN or not all(one.isascii() and one.isdigit() and len(one) < 10 for one in numbers):
        raise bad_cursor()
    starts = [int(one) for one in numbers]
    if not cursor.startswith(_FROM):
        return [version], starts[0]
    if not all(one in state.versions for one in starts):
        raise bad_cursor()
    return starts, None


def _following(shown: list[int], starts: list[int]) -> str | None:
    """The cursor of the next page: where it starts, or, of too many branches to be named, the last number shown."""
    if len(starts) > MAX_OPEN:
        return str(shown[-1])
    return _FROM + ".".join(map(str, starts)) if starts else None
