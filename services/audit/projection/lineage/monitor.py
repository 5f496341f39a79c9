"""What the monitor states: predictions and outcomes, windows and what was noticed in them, experiments."""

from services.audit.projection.lineage.edges import (
    DERIVED,
    GENERATED,
    INFLUENCED,
    USED,
    Edge,
    Said,
    Says,
    of_version,
    set_for_deployment,
    version_node,
)
from shared.events import monitor
from shared.events.codec import rfc3339
from shared.events.envelope import Event


def _batch(event: Event, data: monitor.PredictionLogged) -> Said:
    node = f"batch/{event.id}"
    answered, version = of_version(node, data)
    if not data.fallback:
        return node, [answered, version]
    # the version failed and said nothing: what is asked of its predictions must not find these
    return node, [answered, Edge(node, DERIVED, f"fallback/{data.deployment}", data.fallback)]


def _outcomes(event: Event, data: monitor.OutcomeLogged) -> Said:
    return f"outcome/{event.id}", []


def _joined(event: Event, data: monitor.OutcomesJoined) -> Said:
    node = f"joined/{event.id}"
    edges = [Edge(node, DERIVED, f"batch/{batch}", "prediction") for batch in data.batches]
    edges += [Edge(node, DERIVED, f"batch/{batch}", "answered") for batch in data.answered]
    if data.outcome_event:
        edges.append(Edge(node, DERIVED, f"outcome/{data.outcome_event}", "outcome"))
    return node, edges


def _window_node(data: monitor.MonitorPayload) -> str:
    return f"window/{data.deployment}/{data.version}/{rfc3339(data.window_start)}"


def _window(event: Event, data: monitor.WindowMeasured) -> Said:
    node = _window_node(data)
    return node, of_version(node, data) + [Edge(node, INFLUENCED, f"kpi/{value.kpi}", "kpi") for value in data.kpis]


def _drift(event: Event, data: monitor.DriftDetected) -> Said:
    node = f"drift/{event.id}"
    return node, [*of_version(node, data), Edge(node, DERIVED, _window_node(data), "window")]


def _integrity(event: Event, data: monitor.IntegrityBreached) -> Said:
    node = f"breach/{event.id}"
    return node, [*of_version(node, data), Edge(node, DERIVED, _window_node(data), "window")]


def _refused(event: Event, data: monitor.PredictionsRefused) -> Said:
    return event.subject, of_version(event.subject, data)


def _silence(event: Event, data: monitor.DeploymentSilent | monitor.DeploymentHeard) -> Said:
    node = f"breach/{event.id}"
    return node, of_version(node, data)


def _kpi_breach(event: Event, data: monitor.KpiBreached) -> Said:
    node = f"breach/{event.id}"
    edges = [Edge(node, DERIVED, _window_node(data), "window"), Edge(node, INFLUENCED, f"kpi/{data.kpi}", "kpi")]
    return node, of_version(node, data) + edges


def _experiment(event: Event, data: monitor.ExperimentStarted | monitor.ExperimentConcluded) -> Said:
    node = f"experiment/{data.deployment}/{data.experiment}"
    edges = [Edge(node, GENERATED, f"deployment/{data.deployment}", "deployment")]
    if isinstance(data, monitor.ExperimentStarted):
        edges.append(Edge(node, USED, version_node(data.model, data.control.version), "control"))
        edges += [Edge(node, USED, version_node(data.model, one.version), "treatment") for one in data.treatments]
        edges.append(Edge(node, INFLUENCED, f"kpi/{data.kpi}", "kpi"))
    elif data.version is not None:
        edges.append(Edge(node, DERIVED, version_node(data.model, data.version), "winner"))
    return node, edges


def _guardrail(event: Event, data: monitor.GuardrailBreached) -> Said:
    node = f"breach/{event.id}"
    about = f"experiment/{data.deployment}/{data.experiment}"
    return node, [*of_version(node, data), Edge(node, DERIVED, about, "guardrail")]


def _forgotten(event: Event, data: monitor.SubjectForgotten) -> Said:
    return event.subject, []


def _alert(event: Event, data: monitor.AlertRaised | monitor.AlertCleared) -> Said:
    node = f"alert/{data.alert}"
    return node, of_version(node, data)


def _alert_route(event: Event, data: monitor.AlertRouteAdded | monitor.AlertRouteRemoved) -> Said:
    return f"alert-route/{data.route}", []


SAYS: Says = {
    monitor.PredictionLogged: _batch,
    monitor.OutcomeLogged: _outcomes,
    monitor.OutcomesJoined: _joined,
    monitor.WindowMeasured: _window,
    monitor.DriftDetected: _drift,
    monitor.IntegrityBreached: _integrity,
    monitor.PredictionsRefused: _refused,
    monitor.DeploymentSilent: _silence,
    monitor.DeploymentHeard: _silence,
    monitor.KpiBreached: _kpi_breach,
    monitor.RetentionSet: set_for_deployment("retention"),
    monitor.PredictionsExpired: set_for_deployment("retention"),
    monitor.SubjectForgotten: _forgotten,
    monitor.AlertRaised: _alert,
    monitor.AlertCleared: _alert,
    monitor.AlertRouteAdded: _alert_route,
    monitor.AlertRouteRemoved: _alert_route,
    monitor.ExperimentStarted: _experiment,
    monitor.ExperimentConcluded: _experiment,
    monitor.GuardrailBreached: _guardrail,
}
