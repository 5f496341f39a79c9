"""Views made anew from the log."""

from shared.runtime.service import Definition, Service


async def rebuild(definition: Definition, service: Service) -> list[str]:
    """Empty the views of a service and let its consumers begin at the log's start; returns their names.

    Workers that run are fenced with their next record, and then begin again; others begin when they start. What the
    service stated stays; deciders state it no second time.
    """
    names = [consumer.name for consumer in definition.consumers(service)]
    for name in names:
        await service.store.clear_views(name)
    return names
