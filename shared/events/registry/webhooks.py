"""Facts about who is told of gates."""

from shared.events.registry.parts import RegistryPayload, Stage


class WebhookAdded(RegistryPayload):
    """Changes of gates are told to an address from now on. `sealed`: the address, which only the deliverer can read.
    Empty `models` and `stages` mean all."""

    webhook: str
    name: str
    host: str
    sealed: str
    models: tuple[str, ...] = ()
    stages: tuple[Stage, ...] = ()


class WebhookRemoved(RegistryPayload):
    webhook: str
    reason: str = ""
