"""Who is told when a gate changes. One stream per webhook."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import WebhookAdded, WebhookRemoved


@dataclass(frozen=True, slots=True)
class AddWebhook:
    webhook: WebhookAdded


@dataclass(frozen=True, slots=True)
class RemoveWebhook:
    webhook: str
    reason: str = ""


initial = False
"""Whether it is there."""


def decide(state: bool, command: AddWebhook | RemoveWebhook) -> Sequence[Payload]:
    """Raises Refused 404 where there is nothing to remove."""
    if isinstance(command, AddWebhook):
        return [command.webhook]
    if not state:
        raise Refused("unknown-webhook", f"There is no webhook '{command.webhook:.100}'.", status=404)
    return [WebhookRemoved(webhook=command.webhook, reason=command.reason)]


def evolve(state: bool, event: Event) -> bool:
    return isinstance(event.data, WebhookAdded)
