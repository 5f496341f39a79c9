"""Versions like Git: branches and merges, tags with their history, and retiring instead of deleting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse

from services.registry.api.bodies import MergeBody, RetireBody, TagBody, ValueItem
from services.registry.api.given import References, given, referenced
from services.registry.api.known import Limit, ever, model_state, one
from services.registry.api.moving import MOVERS, may_move_all
from services.registry.domain import models
from services.registry.domain.model_state import ModelState
from services.registry.policies import policies_in, read_ahead
from shared.log.store import UnitOfWork
from shared.log.tables import Query, equal
from shared.runtime.http import Call, page, reading, stated, until_seen, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service

_BUILDERS = (Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER)


def add_history(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    references = References(service.settings)
    service.on_close.append(references.close)
    _add_branches(routes, service, references)
    _add_tags(routes, service)
    _add_retiring(routes, service)


def _add_branches(routes: APIRouter, service: Service, references: References) -> None:
    building, seeing = Depends(writing(service, *_BUILDERS)), Depends(reading(service))

    @routes.get("/v1/models/{name}/branches")
    async def list_branches(name: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """Branches with the newest version of each."""
        async with service.store.begin() as unit:
            state = await model_state(service, unit, name)
        return {
            "items": [{"branch": branch, "version": head} for branch, head in sorted(state.heads.items())],
            "next": None,
        }

    @routes.post("/v1/models/{name}/branches/{branch:path}/merge", status_code=201)
    async def merge(name: str, branch: str, body: MergeBody, call: Annotated[Call, building]) -> JSONResponse:
        """Merge another branch into this one: the next version, with two parents, which states whose change won.

        409 `merge-conflicts` lists what both changed and nobody resolved; 409 `branch-moved`, where somebody else came
        first, names the newest version.
        """
        context = call.context(body.at)
        ends = await _ends(service, name, branch, body)
        trained = await referenced(references, call, name, body.trained) if body.trained else None
        sides = await _references(service, name, ends)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await read_ahead(service, unit, name)
            await model_state(service, unit, name)
            command = models.MergeBranch(
                branch,
                ends.ours,
                ends.theirs,
                {item: _said(resolution) for item, resolution in body.resolve.items()},
                await given(service, unit, name, body.trained, *trained) if body.trained and trained else None,
                sides,
                service.settings.reference_values,
                body.description,
                context.actor,
                context.event_id,
                await policies_in(service, unit, name, new=True),
            )
            status, answer = await stated(service, unit, models, f"model/{name}", command, context)
            state = await model_state(service, unit, name)
            merged = state.versions[state.last].registered.merged
            told = {"model": name, "version": state.last, "merged": merged.model_dump(mode="json") if merged else None}
            return status, answer | told

        return await call.in_unit(work)


@dataclass(frozen=True, slots=True)
class _Ends:
    """The two versions to merge, and the events that registered them."""

    ours: int
    theirs: int
    events: tuple[str, ...]


def _said(resolution: Any) -> Any:
    return {"value": resolution.value} if isinstance(resolution, ValueItem) else resolution


async def _ends(service: Service, name: str, branch: str, body: MergeBody) -> _Ends:
    """Looked up once, before the write: whoever comes second is told that the branch moved."""
    if (body.source is None) == (body.version is None):
        raise Problem(422, "bad-merge", "Name what to merge: either 'source', a branch, or 'version'.")
    async with service.store.begin() as unit:
        state = await model_state(service, unit, name)
    theirs = body.version if body.version is not None else _head(state, body.source or "")
    ours = body.onto if body.onto is not None else _head(state, branch)
    both = [models.version_of(state, number) for number in (ours, theirs)]
    return _Ends(ours, theirs, tuple(one.event_id for one in both if one.event_id))


def _head(state: ModelState, branch: str) -> int:
    head = state.newest(branch)
    if head is None:
        nearby = sorted(state.heads)[:5]
        told = f"there are {', '.join(nearby)}" if nearby else "there are none yet"
        raise Problem(404, "unknown-branch", f"There is no branch '{branch}'; {told}.", nearby=nearby)
    return head


async def _references(service: Service, name: str, ends: _Ends) -> Mapping[int, Mapping[str, Sequence[Any]]]:
    """What each of the two looked like in training, from the views once they hold both."""
    found: dict[int, Mapping[str, Sequence[Any]]] = {}
    for event_id in ends.events:
        await until_seen(service, event_id)
    for number in (ends.ours, ends.theirs):
        row = await service.store.get("reference_samples", name, number)
        found[number] = row["reference"] if row else {}
    return found


def _add_tags(routes: APIRouter, service: Service) -> None:
    building, seeing = Depends(writing(service, *_BUILDERS)), Depends(reading(service))

    async def change(call: Call, name: str, version: int | None, key: str, body: TagBody) -> JSONResponse:
        context = call.context(body.at)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await model_state(service, unit, name)
            command = models.ChangeTags(version, {key: body.value}, body.reason)
            _, answer = await stated(service, unit, models, f"model/{name}", command, context)
            return 200, answer

        return await call.in_unit(work)

    async def changes(name: str, version: int, key: str, limit: int, cursor: str | None) -> dict[str, Any]:
        await one(service, "model", "models", name)
        now = await service.store.get("tags", name, version, key)
        where = (*equal(model=name, version=version, key=key), *ever("sequence"))
        query = Query("tag_changes", where, ("-sequence",), limit)
        return {"tag": key, "value": now["value"] if now else None} | await page(service, query, cursor)

    @routes.put("/v1/models/{name}/tags/{key}")
    async def tag_model(name: str, key: str, body: TagBody, call: Annotated[Call, building]) -> JSONResponse:
        """Set a tag of a model, or take it away; every change is kept."""
        return await change(call, name, None, key, body)

    @routes.get("/v1/models/{name}/tags/{key}")
    async def model_tag(
        name: str, key: str, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """A tag of a model, and who changed it when and why, the newest change first."""
        return await changes(name, 0, key, limit, cursor)

    @routes.put("/v1/models/{name}/versions/{version}/tags/{key}")
    async def tag_version(
        name: str, version: int, key: str, body: TagBody, call: Annotated[Call, building]
    ) -> JSONResponse:
        """Set a tag of a version, or take it away; every change is kept."""
        return await change(call, name, version, key, body)

    @routes.get("/v1/models/{name}/versions/{version}/tags/{key}")
    async def version_tag(
        name: str,
        version: int,
        key: str,
        call: Annotated[Call, seeing],
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """A tag of a version, and who changed it when and why, the newest change first."""
        return await changes(name, version, key, limit, cursor)


def _add_retiring(routes: APIRouter, service: Service) -> None:
    moving = Depends(writing(service, *MOVERS))

    @routes.post("/v1/models/{name}/versions/{version}/retire")
    async def retire_version(name: str, version: int, body: RetireBody, call: Annotated[Call, moving]) -> JSONResponse:
        """Say why nobody should use a version any more: it stays on record, its aliases and gates do not stand."""
        context = call.context(body.at)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            state = await model_state(service, unit, name)
            may_move_all(call, [alias for alias, number in state.aliases.items() if number == version])
            command = models.RetireVersion(version, body.reason, await policies_in(service, unit, name))
            _, answer = await stated(service, unit, models, f"model/{name}", command, context)
            return 200, answer

        return await call.in_unit(work)

    @routes.post("/v1/models/{name}/retire")
    async def retire_model(name: str, body: RetireBody, call: Annotated[Call, moving]) -> JSONResponse:
        """Say why nobody should use a model any more; all its versions retire with it."""
        context = call.context(body.at)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            state = await model_state(service, unit, name)
            may_move_all(call, list(state.aliases))
            command = models.RetireModel(body.reason, await policies_in(service, unit, name))
            _, answer = await stated(service, unit, models, f"model/{name}", command, context)
            return 200, answer

        return await call.in_unit(work)
