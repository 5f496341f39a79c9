"""Webhooks: whom changes of gates are told, and what became of each delivery."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from services.registry.api.bodies import Body, Name
from services.registry.api.known import Limit, ever
from services.registry.domain import webhooks
from services.registry.telling import OUTBOX
from shared.events.registry import Stage, WebhookAdded
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.identity import Role
from shared.runtime.service import Service
from shared.runtime.webhooks.asking import host_of, replayed
from shared.runtime.webhooks.room import room
from shared.runtime.webhooks.signing import Signing

_WEBHOOK = ("route", "name", "host", "models", "stages", "added_by", "added_at")
_DELIVERY = ("delivery", "route", "event", "model", "version", "stage", "allowed", "state", "attempts", "next_at")
_ENDED = ("created_at", "ended_at", "status", "problem")


class WebhookBody(Body):
    """Empty lists mean all."""

    name: Name
    url: Annotated[str, Field(min_length=1, max_length=2_000)]
    models: Annotated[tuple[Name, ...], Field(max_length=100)] = ()
    stages: Annotated[tuple[Stage, ...], Field(max_length=10)] = ()


def add_webhooks(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _webhooks(routes, service)
    _deliveries(routes, service)


def _webhooks(routes: APIRouter, service: Service) -> None:
    signing = Signing.of(service.settings)
    seeing, wiring = Depends(reading(service)), Depends(writing(service, Role.DEVOPS, Role.SOFTWARE_ENGINEER))

    @routes.post("/v1/webhooks", status_code=201)
    async def add_webhook(body: WebhookBody, call: Annotated[Call, wiring]) -> JSONResponse:
        """Tell an address of every change of a gate. The answer holds the `secret` with which deliveries are signed
        (Standard Webhooks, HMAC-SHA256); the address itself is sealed and never shown again."""
        host = await host_of(service.settings, body.url, "Webhooks")
        await room(service, "webhooks", "webhooks", "too-many-webhooks")
        context = call.context(body.at)
        route = context.event_id
        said = {"webhook": route, "name": body.name, "host": host, "sealed": signing.seal(body.url)}
        command = webhooks.AddWebhook(WebhookAdded(**said, models=body.models, stages=body.stages))
        told = {"webhook": route, "host": host, "secret": signing.secret(route)}
        return await call.write(webhooks, f"webhook/{route}", command, context=context, answer=lambda events: told)

    @routes.get("/v1/webhooks")
    async def list_webhooks(
        call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Whom changes of gates are told."""
        there = (Where("removed", "=", None), Where("name", "!=", None))
        return await page(service, Query("webhooks", there, ("added_at",), limit), cursor, _webhook)

    @routes.delete("/v1/webhooks/{webhook}")
    async def remove_webhook(webhook: str, call: Annotated[Call, wiring]) -> JSONResponse:
        """Tell it no longer; what waits for it is not sent."""
        return await call.write(webhooks, f"webhook/{webhook}", webhooks.RemoveWebhook(webhook), status=200)


def _deliveries(routes: APIRouter, service: Service) -> None:
    seeing, wiring = Depends(reading(service)), Depends(writing(service, Role.DEVOPS, Role.SOFTWARE_ENGINEER))

    @routes.get("/v1/webhook-deliveries")
    async def list_deliveries(
        call: Annotated[Call, seeing],
        state: Literal["waiting", "delivered", "dead", "skipped"] | None = None,
        webhook: str | None = None,
        limit: Limit = 100,
        cursor: str | None = None,
    ) -> dict[str, Any]:
        """Deliveries, the newest first: how often each was tried, and what went wrong last; `dead` are given up."""
        given = {"state": state, "route": webhook}
        where = (*equal(**{name: value for name, value in given.items() if value is not None}), *ever("created_at"))
        return await page(service, Query("webhook_deliveries", where, ("-created_at",), limit), cursor, _delivery)

    @routes.post("/v1/webhook-deliveries/{delivery}/replay", status_code=202)
    async def replay(delivery: str, call: Annotated[Call, wiring]) -> JSONResponse:
        """Send a dead or delivered one once more, under the same id."""
        return await replayed(call, OUTBOX, delivery)


def _webhook(row: Row) -> dict[str, Any]:
    return {"webhook" if name == "route" else name: row[name] for name in _WEBHOOK}


def _delivery(row: Row) -> dict[str, Any]:
    return {"webhook" if name == "route" else name: row[name] for name in (*_DELIVERY, *_ENDED)}
