"""The policies in force, read from their streams: what was written is in force for whoever decides next."""

from services.registry.domain import policies
from services.registry.domain.gate import Policies
from shared.log.store import UnitOfWork
from shared.runtime.service import Service


async def policies_in(service: Service, unit: UnitOfWork) -> Policies:
    """Of every stage the policy adopted last, or the one in force until then."""
    found = dict(policies.DEFAULTS)
    for stage in policies.STAGES:
        _, adopted = await service.commands.state_in(unit, policies, f"policy/{stage}")
        found[stage] = adopted or found[stage]
    return found
