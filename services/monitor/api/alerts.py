"""Alerts, who is told of them, and what became of each delivery."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.monitor.alerting import OUTBOX
from services.monitor.domain import routes
from services.monitor.domain.routes import Add, Remove
from shared.events.monitor import AlertKind
from shared.log.tables import Query as Rows
from shared.log.tables import Row, Where, equal
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.webhooks.asking import host_of, replayed
from shared.runtime.webhooks.room import room
from shared.runtime.webhooks.signing import Signing

_Name = Annotated[str, Field(min_length=1, max_length=200)]
_Cursor = Annotated[str | None, Query(description="`next` of the page before.")]
_Limit = Annotated[int, Query(ge=1, le=1_000)]


class RouteBody(BaseModel):
    """Body of POST /v1/alert-routes. Empty lists mean all."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    format: Literal["webhook", "slack"] = "webhook"
    deployments: Annotated[tuple[_Name, ...], Field(max_length=100)] = ()
    kinds: Annotated[tuple[AlertKind, ...], Field(max_length=10)] = ()


def add(router: APIRouter, service: Service) -> None:
    """/alerts, /alert-routes and /alert-deliveries."""
    _alerts(router, service)
    _routes(router, service)
    _deliveries(router, service)


def _alerts(router: APIRouter, service: Service) -> None:
    read = reading(service)

    @router.get("/alerts")
    async def get_alerts(
        deployment: Annotated[str | None, Query(max_length=200)] = None,
        kind: AlertKind | None = None,
        open: Annotated[bool | None, Query(description="Only those that are open, or only cleared ones.")] = None,
        limit: _Limit = 100,
        cursor: _Cursor = None,
        call: Call = Depends(read),
    ) -> Answer:
        """Alerts, the newest first, each with what it is about and when it was raised and cleared."""
        given = {"deployment": deployment, "kind": kind, "open": open}
        where = equal(**{name: value for name, value in given.items() if value is not None})
        return Answer(await page(service, Rows("alerts", where, ("-raised_at",), limit), cursor))

    @router.get("/alerts/{alert}")
    async def get_alert(alert: str, call: Call = Depends(read)) -> Answer:
        """One alert."""
        row = await service.store.get("alerts", alert)
        if row is None or row["raised_at"] is None:
            raise Problem(404, "unknown-alert", f"There is no alert '{alert:.100}'.", "See /v1/alerts.")
        return Answer(row)


def _routes(router: APIRouter, service: Service) -> None:
    signing = Signing.of(service.settings)
    read, write = reading(service), writing(service, Role.DEVOPS, Role.SOFTWARE_ENGINEER)

    @router.post("/alert-routes", status_code=201)
    async def post_route(body: RouteBody, call: Call = Depends(write)) -> JSONResponse:
        """Tell an address of alerts. The answer holds the `secret` with which deliveries are signed (Standard
        Webhooks); the address itself is sealed and never shown again."""
        host = await host_of(service.settings, body.url, "Alerts")
        await room(service, "alert_routes", "routes", "too-many-alert-routes")
        context = call.context()
        route = context.event_id
        command = Add(route, body.name, body.format, host, signing.seal(body.url), body.deployments, body.kinds)
        told = {"route": route, "host": host, "secret": signing.secret(route)}
        return await call.write(routes, f"alert-route/{route}", command, context=context, answer=lambda events: told)

    @router.get("/alert-routes")
    async def get_routes(limit: _Limit = 100, cursor: _Cursor = None, call: Call = Depends(read)) -> Answer:
        """Whom alerts are told."""
        query = Rows("alert_routes", (Where("removed", "=", None), Where("name", "!=", None)), ("added_at",), limit)
        return Answer(await page(service, query, cursor, _route))

    @router.delete("/alert-routes/{route}")
    async def delete_route(route: str, call: Call = Depends(write)) -> JSONResponse:
        """Tell it no longer; what waits for it is not sent."""
        return await call.write(routes, f"alert-route/{route}", Remove(route, ""), status=200)


def _deliveries(router: APIRouter, service: Service) -> None:
    read, write = reading(service), writing(service, Role.DEVOPS, Role.SOFTWARE_ENGINEER)

    @router.get("/alert-deliveries")
    async def get_deliveries(
        state: Literal["waiting", "delivered", "dead", "skipped"] | None = None,
        route: Annotated[str | None, Query(max_length=100)] = None,
        limit: _Limit = 100,
        cursor: _Cursor = None,
        call: Call = Depends(read),
    ) -> Answer:
        """Deliveries, the newest first: how often each was tried, and what went wrong last."""
        given = {"state": state, "route": route}
        where = equal(**{name: value for name, value in given.items() if value is not None})
        return Answer(await page(service, Rows("alert_deliveries", where, ("-created_at",), limit), cursor, _delivery))

    @router.post("/alert-deliveries/{delivery}/replay", status_code=202)
    async def replay(delivery: str, call: Call = Depends(write)) -> JSONResponse:
        """Send a dead or delivered one once more, under the same id."""
        return await replayed(call, OUTBOX, delivery)


def _route(row: Row) -> dict[str, Any]:
    names = ("route", "name", "format", "host", "deployments", "kinds", "added_by", "added_at")
    return {name: row[name] for name in names}


def _delivery(row: Row) -> dict[str, Any]:
    names = ("delivery", "route", "alert", "deployment", "state", "attempts", "next_at", "created_at", "ended_at")
    return {name: row[name] for name in (*names, "status", "problem")}
