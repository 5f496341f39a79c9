"""/v1/deployments: what runs where, and what became of it."""

import resource
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.deployer.api.commanding import unknown
from services.deployer.api.serving import Serving
from shared.log import tables
from shared.log.tables import Row, Where
from shared.runtime.http import Call, page, reading
from shared.runtime.responses import Answer
from shared.runtime.service import Service

MAX_HISTORY = 1_000


def router(service: Service, serving: Serving) -> APIRouter:
    """Views of deployments."""
    routes = APIRouter(prefix="/v1/deployments", tags=["deployments"])
    read, store = reading(service), service.store

    @routes.get("", response_class=Answer)
    async def deployments(
        call: Annotated[Call, Depends(read)],
        model: str | None = None,
        environment: str | None = None,
        state: str | None = None,
        limit: Annotated[int, Query(ge=1)] = 100,
        cursor: str | None = None,
    ) -> Answer:
        """All deployments by name, with their traffic and champion."""
        wanted = {"model": model, "environment": environment, "state": state}
        where = tuple(Where(column, "=", value) for column, value in wanted.items() if value is not None)
        return Answer(await page(service, tables.Query("deployments", where, limit=limit), cursor))

    @routes.get("/{name}", response_class=Answer)
    async def deployment(name: str, call: Annotated[Call, Depends(read)]) -> Answer:
        """One deployment with its history, newest first, and what became of its shadows and of versions
        that failed in this process, and what they took of it. `lost`: answers that an earlier process did not log
        (`reason`: `ended`, it was killed or had to stop before; `refused`, the log takes no such record); `refused`:
        rows that this process answered and the log refused."""
        row = await store.get("deployments", name)
        if row is None:
            await unknown(store, name)
        query = tables.Query("deployment_history", tables.equal(name=name), ("-sequence",), MAX_HISTORY)
        history = [_step(one) for one in await store.find(query)]
        losses = tables.Query("losses", tables.equal(name=name), ("-sequence",), MAX_HISTORY)
        told = {
            "lost": [_step(one) | {"reason": one["reason"] or "ended"} for one in await store.find(losses)],
            "shadows": _shadows(serving, row),
            "refused": _refused(serving, name),
            "fell_back": _fell(serving, name),
            "measured": _measured(serving, name),
        }
        return Answer(row | {"history": history} | told)

    return routes


def _step(row: Row) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name != "name"}


def _measured(serving: Serving, name: str) -> dict[str, Any]:
    """What this process and the deployment's versions in it took since the process began."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    versions = [
        {"version": version, "requests": one.requests, "rows": one.rows, "seconds": round(one.seconds, 6)}
        for (of, version), one in serving.gateway.asking.used.items()
        if of == name
    ]
    process = {"cpu_seconds": round(usage.ru_utime + usage.ru_stime, 3), "peak_memory_mib": usage.ru_maxrss / 1024}
    return {"process": process, "versions": versions}


def _refused(serving: Serving, name: str) -> list[dict[str, Any]]:
    """How many rows that this process answered the log takes no record of."""
    found = serving.gateway.journal.refused
    return [{"version": version, "rows": rows} for (of, version), rows in found.items() if of == name]


def _fell(serving: Serving, name: str) -> list[dict[str, Any]]:
    """In how many requests of this process a version failed and its fallback answered."""
    found = serving.gateway.asking.fell
    return [{"version": version, "requests": count} for (of, version), count in found.items() if of == name]


def _shadows(serving: Serving, row: Row) -> list[dict[str, Any]]:
    shadows = serving.shadows
    return [
        {
            "version": version,
            "dropped": shadows.dropped[row["name"], version],
            "failed": shadows.failed[row["name"], version],
        }
        for version in row["traffic"]["shadows"]
    ]
