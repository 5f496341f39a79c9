"""The lineage graph: what an event says about which thing, and how things hang together.

Nodes are named `KIND/ID`. Relations are PROV's (W3C PROV-DM); an edge leads from what came later to what it came from.
An edge's `role` says what PROV has no word for: champion, training_data, goal, …
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

from shared.events import audit, deployer, every, feedback, monitor, registry
from shared.events.batches import prediction_id
from shared.events.codec import rfc3339
from shared.events.envelope import Event, Payload

DERIVED = "wasDerivedFrom"
GENERATED = "wasGeneratedBy"
USED = "used"
ATTRIBUTED = "wasAttributedTo"
ASSOCIATED = "wasAssociatedWith"
INFLUENCED = "wasInfluencedBy"
SPECIAL = "specializationOf"
ALTERNATE = "alternateOf"
MEMBER = "hadMember"

TRAFFIC = "traffic"
DEFINITION = "definition"
BULK_KINDS = frozenset({"batch", "joined", "outcome", "window"})


class Edge(NamedTuple):
    """One edge as an event states it. `scope`: see `asof`; `present` False: said to have ended."""

    src: str
    relation: str
    dst: str
    role: str = ""
    scope: str = ""
    present: bool = True
    detail: dict[str, Any] | None = None


Said = tuple[str, list[Edge]]
"""The node that an event is about, and the edges that it states."""


def said(event: Event) -> Said:
    """What an event says. Pure; raises KeyError for a type that has no line here."""
    return _SAYS[type(event.data)](event, event.data)


def version_node(model: str, version: int) -> str:
    return f"version/{model}@{version}"


def kind_of(node: str) -> str:
    return node.partition("/")[0]


def _goal(event: Event, data: registry.GoalStated) -> Said:
    node = f"goal/{data.goal}"
    return node, [Edge(node, ATTRIBUTED, f"actor/{data.owner}", "owner", DEFINITION)]


def _kpi(event: Event, data: registry.KpiDefined) -> Said:
    node = f"kpi/{data.kpi}"
    return node, [Edge(node, DERIVED, f"goal/{data.goal}", "goal", DEFINITION)]


def _dataset(event: Event, data: registry.DatasetRegistered) -> Said:
    return _dataset_node(data), []


def _dataset_node(ref: registry.DatasetRef | registry.DatasetRegistered) -> str:
    return f"dataset/{ref.dataset}@{ref.version}"


def _pipeline(event: Event, data: registry.PipelineRegistered) -> Said:
    return f"pipeline/{data.pipeline}", []


def _run(event: Event, data: registry.PipelineRunRecorded) -> Said:
    node = f"run/{data.pipeline}/{data.run}"
    edges = [
        Edge(node, ASSOCIATED, f"pipeline/{data.pipeline}", "plan"),
        Edge(f"run/{data.run}", ALTERNATE, node),  # versions may name a run without its pipeline
    ]
    edges += [Edge(node, USED, _dataset_node(ref), "input") for ref in data.inputs]
    edges += [Edge(_dataset_node(ref), GENERATED, node, "output") for ref in data.outputs]
    return node, edges


def _model(event: Event, data: registry.ModelRegistered) -> Said:
    node = f"model/{data.model}"
    edges = [Edge(node, ATTRIBUTED, f"actor/{data.owner}", "owner", DEFINITION)]
    if data.goal:
        edges.append(Edge(node, DERIVED, f"goal/{data.goal}", "goal", DEFINITION))
    return node, edges


def _version(event: Event, data: registry.ModelVersionRegistered) -> Said:
    node = version_node(data.model, data.version)
    edges = [Edge(node, SPECIAL, f"model/{data.model}", "model")]
    edges += [Edge(node, DERIVED, _dataset_node(ref), "training_data") for ref in data.training_data]
    edges += [Edge(node, DERIVED, version_node(data.model, parent), "parent") for parent in data.parents]
    if data.pipeline_run:
        edges.append(Edge(node, GENERATED, f"run/{data.pipeline_run}", "run"))
    return node, edges


def _evidence(event: Event, data: registry.EvidenceRecorded) -> Said:
    node = f"evidence/{data.evidence}"
    return node, [Edge(node, DERIVED, version_node(data.model, data.version), "evidence")]


def _approval(event: Event, data: registry.ApprovalGranted | registry.ApprovalRejected) -> Said:
    node = f"approval/{data.approval}"
    return node, [Edge(node, INFLUENCED, version_node(data.model, data.version), "approval")]


def _gate(event: Event, data: registry.GateChanged) -> Said:
    node = f"gate/{data.model}@{data.version}/{data.stage}"
    return node, [Edge(node, DERIVED, version_node(data.model, data.version), "gate")]


def _alias(event: Event, data: registry.AliasMoved) -> Said:
    node = f"model/{data.model}"
    return node, _moved(node, MEMBER, f"alias:{data.alias}", _aliased(data, data.before), _aliased(data, data.after))


def _aliased(data: registry.AliasMoved, version: int | None) -> dict[tuple[str, str], dict[str, Any] | None]:
    return {} if version is None else {(data.alias, version_node(data.model, version)): None}


def _policy(event: Event, data: registry.PolicyAdopted) -> Said:
    return f"policy/{data.stage}@{data.version}", []


def _proposal(event: Event, data: registry.PolicyProposed | registry.PolicyDeclined) -> Said:
    return f"proposal/{data.proposal}", []


def _webhook(event: Event, data: registry.WebhookAdded | registry.WebhookRemoved) -> Said:
    return f"webhook/{data.webhook}", []


def _exception(event: Event, data: registry.ExceptionGranted | registry.ExceptionWithdrawn) -> Said:
    node = f"exception/{data.exception}"
    return node, [Edge(node, INFLUENCED, version_node(data.model, data.version), "exception")]


def _condition(event: Event, data: registry.ConditionMet) -> Said:
    return f"approval/{data.approval}", []


def _of(model: str, version: int | None) -> str:
    return f"model/{model}" if version is None else version_node(model, version)


def _tag(event: Event, data: registry.TagChanged) -> Said:
    about = _of(data.model, data.version)
    node = f"tag/{about.partition('/')[2]}/{data.key}"
    return node, [Edge(node, INFLUENCED, about, "tag")]


def _described(event: Event, data: registry.DescriptionChanged) -> Said:
    about = _of(data.model, data.version)
    node = f"description/{about.partition('/')[2]}"
    return node, [Edge(node, INFLUENCED, about, "description")]


def _stage(event: Event, data: registry.StageMoved) -> Said:
    node = f"stage/{data.model}@{data.version}"
    return node, [Edge(node, INFLUENCED, version_node(data.model, data.version), "stage")]


def _version_retired(event: Event, data: registry.VersionRetired) -> Said:
    return version_node(data.model, data.version), []


def _model_retired(event: Event, data: registry.ModelRetired) -> Said:
    return f"model/{data.model}", []


def _reported(event: Event, data: registry.LineageReported) -> Said:
    return f"lineage-report/{data.digest}", []


def _decision(event: Event, data: registry.DecisionModelled) -> Said:
    node = f"decision/{data.decision}@{data.version}"
    edges = [Edge(node, SPECIAL, f"decision/{data.decision}", "decision")]
    for one in data.models:
        edges.append(Edge(node, INFLUENCED, f"model/{one.model}", "informed_by", detail={"how": one.how}))
    edges += [Edge(node, INFLUENCED, f"decision/{name}", "requires") for name in data.requires]
    edges += [Edge(node, INFLUENCED, f"kpi/{name}", "kpi") for name in data.kpis]
    if data.goal:
        edges.append(Edge(node, DERIVED, f"goal/{data.goal}", "goal"))
    return node, [*edges, Edge(node, ATTRIBUTED, f"actor/{data.owner}", "owner")]


def _deployed(event: Event, data: deployer.Deployed) -> Said:
    node = f"deployment/{data.deployment}"
    return node, _moved(node, USED, TRAFFIC, {}, _roles(data.model, data.traffic))


def _traffic(event: Event, data: deployer.TrafficChanged | deployer.Promoted | deployer.RolledBack) -> Said:
    node = f"deployment/{data.deployment}"
    return node, _moved(node, USED, TRAFFIC, _roles(data.model, data.before), _roles(data.model, data.after))


def _retired(event: Event, data: deployer.Retired) -> Said:
    node = f"deployment/{data.deployment}"
    return node, _moved(node, USED, TRAFFIC, _roles(data.model, data.before), {})


def _roles(model: str, traffic: deployer.Traffic) -> dict[tuple[str, str], dict[str, Any] | None]:
    """(role, version node) → details, of everybody who takes part in the traffic."""
    rest = 100.0 - sum(share.percent for share in traffic.challengers)
    roles: dict[tuple[str, str], dict[str, Any] | None] = {
        ("champion", version_node(model, traffic.champion)): {"percent": rest, "sticky_by": traffic.sticky_by}
    }
    for share in traffic.challengers:
        roles["challenger", version_node(model, share.version)] = {"percent": share.percent}
    for version in traffic.shadows:
        roles["shadow", version_node(model, version)] = None
    return roles


def _moved(
    node: str,
    relation: str,
    scope: str,
    before: dict[tuple[str, str], dict[str, Any] | None],
    after: dict[tuple[str, str], dict[str, Any] | None],
) -> list[Edge]:
    edges = [Edge(node, relation, dst, role, scope, True, detail) for (role, dst), detail in after.items()]
    return edges + [Edge(node, relation, dst, role, scope, False) for role, dst in before if (role, dst) not in after]


def _canary(
    event: Event,
    data: deployer.CanaryStarted | deployer.CanaryHeld | deployer.CanaryResumed | deployer.CanaryEnded,
) -> Said:
    node = f"canary/{data.deployment}@{data.version}"
    return node, _of_version(node, data)


def _reacted(event: Event, data: deployer.Reacted) -> Said:
    node = f"reaction/{event.id}"
    return node, _of_version(node, data)


def _batch(event: Event, data: monitor.PredictionLogged) -> Said:
    node = f"batch/{event.id}"
    return node, _of_version(node, data)


def _set_for_deployment(kind: str) -> Callable[[Event, Any], Said]:
    """What is set for a deployment as a whole: a node of its own beside it."""

    def said_of(event: Event, data: Any) -> Said:
        node = f"{kind}/{data.deployment}"
        return node, [Edge(node, INFLUENCED, f"deployment/{data.deployment}", "deployment")]

    return said_of


def _of_version(node: str, data: Any) -> list[Edge]:
    """Everything measured or said about a deployed version hangs on the deployment and on the version."""
    return [
        Edge(node, GENERATED, f"deployment/{data.deployment}", "deployment"),
        Edge(node, DERIVED, version_node(data.model, data.version), "version"),
    ]


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
    return node, _of_version(node, data) + [Edge(node, INFLUENCED, f"kpi/{value.kpi}", "kpi") for value in data.kpis]


def _drift(event: Event, data: monitor.DriftDetected) -> Said:
    node = f"drift/{event.id}"
    return node, [*_of_version(node, data), Edge(node, DERIVED, _window_node(data), "window")]


def _integrity(event: Event, data: monitor.IntegrityBreached) -> Said:
    node = f"breach/{event.id}"
    return node, [*_of_version(node, data), Edge(node, DERIVED, _window_node(data), "window")]


def _silence(event: Event, data: monitor.DeploymentSilent | monitor.DeploymentHeard) -> Said:
    node = f"breach/{event.id}"
    return node, _of_version(node, data)


def _kpi_breach(event: Event, data: monitor.KpiBreached) -> Said:
    node = f"breach/{event.id}"
    edges = [Edge(node, DERIVED, _window_node(data), "window"), Edge(node, INFLUENCED, f"kpi/{data.kpi}", "kpi")]
    return node, _of_version(node, data) + edges


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
    return node, [*_of_version(node, data), Edge(node, DERIVED, about, "guardrail")]


def _flag(event: Event, data: feedback.FeedbackFlagged | feedback.FlagLocated) -> Said:
    if isinstance(data, feedback.FeedbackFlagged) and data.target != "prediction":
        return _flag_of_more(data)
    node = f"flag/{data.flag}"
    edges = _of_version(node, data) if data.deployment else []
    named = data.prediction_id
    if data.batch is not None and data.row is not None:
        named = prediction_id(data.batch, data.row)
        edges.append(Edge(f"prediction/{named}", SPECIAL, f"batch/{data.batch}", "row"))
    return node, [Edge(node, DERIVED, f"prediction/{named}", "flagged"), *edges]


def _flag_of_more(data: feedback.FeedbackFlagged) -> Said:
    """A flag on a slice, a model or a pipeline hangs on what of these it names."""
    node = f"flag/{data.flag}"
    edges: list[Edge] = []
    if data.deployment:
        edges.append(Edge(node, INFLUENCED, f"deployment/{data.deployment}", "deployment"))
    if data.model:
        of = f"model/{data.model}" if data.version is None else version_node(data.model, data.version)
        edges.append(Edge(node, DERIVED, of, "flagged"))
    if data.pipeline:
        edges.append(Edge(node, DERIVED, f"pipeline/{data.pipeline}", "flagged"))
    return node, edges


def _triaged(event: Event, data: feedback.FlagTriaged) -> Said:
    node = f"flag/{data.flag}"
    return node, [Edge(node, ASSOCIATED, f"actor/{data.assignee}", "assignee", "assignee")]


def _flag_only(event: Event, data: feedback.FlagCommented | feedback.FlagResolved | feedback.FlagLapsed) -> Said:
    return f"flag/{data.flag}", []


def _flags(event: Event, data: feedback.PredictionsFlagged) -> Said:
    node = f"flag/{data.flag}"
    edges = [Edge(node, DERIVED, f"batch/{batch}", "flagged") for batch in data.batches]
    if data.rule:
        edges.append(Edge(node, INFLUENCED, f"rule/{data.rule}", "rule"))
    if data.bulk:
        edges.append(Edge(node, GENERATED, f"bulk/{data.bulk}", "bulk"))
    return node, [*edges, *_of_version(node, data)]


def _merged(event: Event, data: feedback.FlagMerged) -> Said:
    node = f"flag/{data.flag}"
    return node, [Edge(node, ALTERNATE, f"flag/{data.into}", "merged")]


def _bulk(event: Event, data: feedback.BulkFlagRequested | feedback.BulkFlagAdvanced | feedback.BulkFlagEnded) -> Said:
    return f"bulk/{data.bulk}", []


def _labels(event: Event, data: feedback.LabelsCorrected) -> Said:
    node = f"labels/{event.id}"
    return node, [Edge(node, DERIVED, f"flag/{data.flag}", "corrected")]


def _link_used(event: Event, data: feedback.FlagLinkUsed) -> Said:
    node = f"flag/{data.flag}"
    return node, [Edge(node, ATTRIBUTED, f"actor/{data.issuer}", "link issuer")]


def _rule(event: Event, data: feedback.RuleAdopted) -> Said:
    node = f"rule/{data.rule}"
    return node, [Edge(node, INFLUENCED, f"deployment/{data.deployment}", "deployment", DEFINITION)]


def _rule_retired(event: Event, data: feedback.RuleRetired) -> Said:
    return f"rule/{data.rule}", []


def _review(event: Event, data: feedback.ReviewDrawn) -> Said:
    node = f"review/{data.review}"
    return node, _of_version(node, data)


def _judged(event: Event, data: feedback.ReviewJudged) -> Said:
    node = f"review/{data.review}"
    return node, [Edge(node, USED, f"prediction/{data.prediction_id}", "judged")]


def _corrections(event: Event, data: feedback.CorrectionsExported) -> Said:
    node = f"dataset/{data.dataset}@{data.version}"
    return node, [Edge(node, DERIVED, f"flag/{flag}", "corrected") for flag in data.flags]


def _flag_breach(event: Event, data: feedback.FlagThresholdBreached | feedback.FlagThresholdCleared) -> Said:
    node = f"breach/{event.id}"
    return node, _of_version(node, data)


def _verification(event: Event, data: audit.VerificationCompleted | audit.TreeVerified | every.ViewsVerified) -> Said:
    return f"verification/{data.verification}", []


def _forgotten(event: Event, data: monitor.SubjectForgotten) -> Said:
    return event.subject, []


def _alert(event: Event, data: monitor.AlertRaised | monitor.AlertCleared) -> Said:
    node = f"alert/{data.alert}"
    return node, _of_version(node, data)


def _alert_route(event: Event, data: monitor.AlertRouteAdded | monitor.AlertRouteRemoved) -> Said:
    return f"alert-route/{data.route}", []


def _checkpoint(event: Event, data: audit.CheckpointSigned | audit.CheckpointCosigned) -> Said:
    return f"checkpoint/{data.size}", []


def _signing_key(event: Event, data: audit.SigningKeyAdopted) -> Said:
    node = f"key/{data.key_id}"
    return node, [Edge(node, DERIVED, f"key/{data.replaces.split('+')[1]}", "replaces")] if data.replaces else []


def _ledger_part(event: Event, data: audit.LedgerPartArchived) -> Said:
    return f"ledger-part/{data.part}", []


def _report(event: Event, data: audit.ReportIssued) -> Said:
    node = f"report/{data.report}"
    return node, [Edge(node, DERIVED, f"model/{data.model}", "report")] if data.model else []


_SAYS: dict[type[Payload], Callable[[Event, Any], Said]] = {
    registry.GoalStated: _goal,
    registry.KpiDefined: _kpi,
    registry.DatasetRegistered: _dataset,
    registry.PipelineRegistered: _pipeline,
    registry.PipelineRunRecorded: _run,
    registry.ModelRegistered: _model,
    registry.ModelVersionRegistered: _version,
    registry.EvidenceRecorded: _evidence,
    registry.ApprovalGranted: _approval,
    registry.ApprovalRejected: _approval,
    registry.GateChanged: _gate,
    registry.AliasMoved: _alias,
    registry.PolicyAdopted: _policy,
    registry.PolicyProposed: _proposal,
    registry.PolicyDeclined: _proposal,
    registry.ExceptionGranted: _exception,
    registry.ExceptionWithdrawn: _exception,
    registry.ConditionMet: _condition,
    registry.WebhookAdded: _webhook,
    registry.WebhookRemoved: _webhook,
    registry.TagChanged: _tag,
    registry.DescriptionChanged: _described,
    registry.StageMoved: _stage,
    registry.VersionRetired: _version_retired,
    registry.ModelRetired: _model_retired,
    registry.LineageReported: _reported,
    registry.DecisionModelled: _decision,
    deployer.Deployed: _deployed,
    deployer.TrafficChanged: _traffic,
    deployer.Promoted: _traffic,
    deployer.RolledBack: _traffic,
    deployer.Retired: _retired,
    deployer.CanaryStarted: _canary,
    deployer.CanaryHeld: _canary,
    deployer.CanaryResumed: _canary,
    deployer.CanaryEnded: _canary,
    deployer.ReactionsSet: _set_for_deployment("reactions"),
    deployer.Reacted: _reacted,
    deployer.FallbackSet: _set_for_deployment("fallback"),
    deployer.ResourcesDeclared: _set_for_deployment("resources"),
    monitor.PredictionLogged: _batch,
    monitor.OutcomeLogged: _outcomes,
    monitor.OutcomesJoined: _joined,
    monitor.WindowMeasured: _window,
    monitor.DriftDetected: _drift,
    monitor.IntegrityBreached: _integrity,
    monitor.DeploymentSilent: _silence,
    monitor.DeploymentHeard: _silence,
    monitor.KpiBreached: _kpi_breach,
    monitor.RetentionSet: _set_for_deployment("retention"),
    monitor.PredictionsExpired: _set_for_deployment("retention"),
    monitor.SubjectForgotten: _forgotten,
    monitor.AlertRaised: _alert,
    monitor.AlertCleared: _alert,
    monitor.AlertRouteAdded: _alert_route,
    monitor.AlertRouteRemoved: _alert_route,
    monitor.ExperimentStarted: _experiment,
    monitor.ExperimentConcluded: _experiment,
    monitor.GuardrailBreached: _guardrail,
    feedback.FeedbackFlagged: _flag,
    feedback.FlagLocated: _flag,
    feedback.FlagTriaged: _triaged,
    feedback.FlagCommented: _flag_only,
    feedback.FlagResolved: _flag_only,
    feedback.FlagThresholdBreached: _flag_breach,
    feedback.FlagThresholdCleared: _flag_breach,
    feedback.FlagLapsed: _flag_only,
    feedback.FlagMerged: _merged,
    feedback.PredictionsFlagged: _flags,
    feedback.BulkFlagRequested: _bulk,
    feedback.BulkFlagAdvanced: _bulk,
    feedback.BulkFlagEnded: _bulk,
    feedback.LabelsCorrected: _labels,
    feedback.FlagLimitsSet: _set_for_deployment("flag-limits"),
    feedback.FlagLinkUsed: _link_used,
    feedback.RuleAdopted: _rule,
    feedback.RuleRetired: _rule_retired,
    feedback.ReviewDrawn: _review,
    feedback.ReviewJudged: _judged,
    feedback.CorrectionsExported: _corrections,
    audit.VerificationCompleted: _verification,
    audit.CheckpointSigned: _checkpoint,
    audit.CheckpointCosigned: _checkpoint,
    audit.SigningKeyAdopted: _signing_key,
    audit.TreeVerified: _verification,
    audit.LedgerPartArchived: _ledger_part,
    every.ViewsVerified: _verification,
    audit.ReportIssued: _report,
}


def unknown(types: Iterable[type[Payload]]) -> list[str]:
    """Types of the language that the graph does not know; a test holds this empty."""
    return [cls.__name__ for cls in types if cls not in _SAYS]
