"""Changes of gates into deliveries: one for each webhook that wants it, under an id that stays the same."""

from collections.abc import Sequence
from datetime import datetime

import orjson

from shared.events.envelope import Event
from shared.events.registry import GateChanged
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, Row, Where
from shared.runtime.settings import Settings
from shared.runtime.webhooks.body import body
from shared.runtime.webhooks.delivering import Outbox

OUTBOX = Outbox("webhooks", "webhook_deliveries", "registry.delivery")


async def tell(unit: UnitOfWork, events: Sequence[Event], settings: Settings, at: datetime) -> None:
    """Lay up what is to be sent. Changes of long ago (a replay of the log) are told no more."""
    changed = [event for event in events if isinstance(event.data, GateChanged) and _fresh(event, settings, at)]
    if not changed:
        return
    there = (Where("removed", "=", None), Where("sealed", "!=", None))
    webhooks = await unit.find(Query("webhooks", there, limit=settings.max_alert_routes))
    changes: list[Change] = []
    for event in changed:
        for webhook in webhooks:
            name = f"{event.id}.{webhook['route']}"
            if _wanted(webhook, event) and await unit.get("webhook_deliveries", name) is None:
                changes.append(_delivery(event, webhook["route"], name, at))
    await unit.apply(changes)


def body_of(event: Event) -> str:
    """What a receiver gets: the fact, with its id, its time, its place in the model's history and who caused it."""
    return orjson.dumps(body("gate.changed", event)).decode()


def _delivery(event: Event, route: str, name: str, at: datetime) -> Change:
    gate = event.data
    assert isinstance(gate, GateChanged)  # noqa: S101  `tell` lets nothing else through
    of = {"model": gate.model, "version": gate.version, "stage": gate.stage, "allowed": gate.allowed}
    due = {"state": "waiting", "attempts": 0, "next_at": at, "created_at": at}
    return Put(
        "webhook_deliveries",
        {"delivery": name, "route": route, "event": event.id, "body": body_of(event)} | of | due,
    )


def _fresh(event: Event, settings: Settings, at: datetime) -> bool:
    return (at - (event.recorded or event.time)).total_seconds() <= settings.alert_stale_seconds


def _wanted(webhook: Row, event: Event) -> bool:
    gate = event.data
    assert isinstance(gate, GateChanged)  # noqa: S101  `tell` lets nothing else through
    models, stages = webhook["models"] or [], webhook["stages"] or []
    return (not models or gate.model in models) and (not stages or gate.stage in stages)
