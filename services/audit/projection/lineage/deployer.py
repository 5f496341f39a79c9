"""What the deployer states: who takes part in the traffic of a deployment, and what is set for it."""

from services.audit.projection.lineage.edges import (
    TRAFFIC,
    USED,
    Parts,
    Said,
    Says,
    moved,
    of_version,
    set_for_deployment,
    version_node,
)
from shared.events import deployer
from shared.events.envelope import Event


def _deployed(event: Event, data: deployer.Deployed) -> Said:
    node = f"deployment/{data.deployment}"
    return node, moved(node, USED, TRAFFIC, {}, _roles(data.model, data.traffic))


def _traffic(event: Event, data: deployer.TrafficChanged | deployer.Promoted | deployer.RolledBack) -> Said:
    node = f"deployment/{data.deployment}"
    return node, moved(node, USED, TRAFFIC, _roles(data.model, data.before), _roles(data.model, data.after))


def _retired(event: Event, data: deployer.Retired) -> Said:
    node = f"deployment/{data.deployment}"
    return node, moved(node, USED, TRAFFIC, _roles(data.model, data.before), {})


def _roles(model: str, traffic: deployer.Traffic) -> Parts:
    """(role, version node) → details, of everybody who takes part in the traffic."""
    rest = 100.0 - sum(share.percent for share in traffic.challengers)
    roles: Parts = {
        ("champion", version_node(model, traffic.champion)): {"percent": rest, "sticky_by": traffic.sticky_by}
    }
    for share in traffic.challengers:
        roles["challenger", version_node(model, share.version)] = {"percent": share.percent}
    for version in traffic.shadows:
        roles["shadow", version_node(model, version)] = None
    return roles


def _canary(
    event: Event,
    data: deployer.CanaryStarted | deployer.CanaryHeld | deployer.CanaryResumed | deployer.CanaryEnded,
) -> Said:
    node = f"canary/{data.deployment}@{data.version}"
    return node, of_version(node, data)


def _reacted(event: Event, data: deployer.Reacted) -> Said:
    node = f"reaction/{event.id}"
    return node, of_version(node, data)


def _lost(event: Event, data: deployer.PredictionsLost) -> Said:
    node = f"loss/{event.id}"
    return node, of_version(node, data)


SAYS: Says = {
    deployer.Deployed: _deployed,
    deployer.TrafficChanged: _traffic,
    deployer.Promoted: _traffic,
    deployer.RolledBack: _traffic,
    deployer.Retired: _retired,
    deployer.CanaryStarted: _canary,
    deployer.CanaryHeld: _canary,
    deployer.CanaryResumed: _canary,
    deployer.CanaryEnded: _canary,
    deployer.ReactionsSet: set_for_deployment("reactions"),
    deployer.Reacted: _reacted,
    deployer.PredictionsLost: _lost,
    deployer.FallbackSet: set_for_deployment("fallback"),
    deployer.ResourcesDeclared: set_for_deployment("resources"),
}
