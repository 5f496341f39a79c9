"""Webhooks as a view, and their deliveries as work in hand."""

from shared.events.envelope import Event
from shared.events.registry import WebhookAdded, WebhookRemoved
from shared.log.tables import Change, Put, Table

TABLES: tuple[Table, ...] = (
    Table(
        "webhooks",
        ("route",),
        {
            "route": "text",
            "name": "text",
            "host": "text",
            "sealed": "text",
            "models": "json",
            "stages": "json",
            "added_by": "text",
            "added_at": "timestamp",
            "removed": "boolean",
        },
    ),
    Table(
        "webhook_deliveries",
        ("delivery",),
        {
            "delivery": "text",
            "route": "text",
            "event": "text",
            "model": "text",
            "version": "integer",
            "stage": "text",
            "allowed": "boolean",
            "body": "text",
            "state": "text",
            "attempts": "integer",
            "next_at": "timestamp",
            "created_at": "timestamp",
            "ended_at": "timestamp",
            "status": "integer",
            "problem": "text",
        },
        (("state", "next_at"), ("created_at",)),
        work=True,
    ),
)


def project(event: Event) -> list[Change]:
    """The changes that one event makes."""
    match event.data:
        case WebhookAdded() as added:
            row = added.model_dump(mode="json", exclude={"webhook"}) | {"route": added.webhook}
            return [Put("webhooks", row | {"added_by": event.actor, "added_at": event.time})]
        case WebhookRemoved(webhook=webhook):
            return [Put("webhooks", {"route": webhook, "removed": True})]
        case _:
            return []
