"""Webhooks as a view, and their deliveries as work in hand."""

from shared.events.envelope import Event
from shared.events.registry import WebhookAdded, WebhookRemoved
from shared.log.deliveries import deliveries
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
    deliveries("webhook_deliveries", model="text", version="integer", stage="text", allowed="boolean"),
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
