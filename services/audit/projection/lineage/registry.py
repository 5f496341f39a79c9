"""What the registry states: goals, data, runs, models and versions, and who allowed what."""

from services.audit.projection.lineage.edges import (
    ALTERNATE,
    ASSOCIATED,
    ATTRIBUTED,
    DEFINITION,
    DERIVED,
    GENERATED,
    INFLUENCED,
    MEMBER,
    SPECIAL,
    USED,
    Edge,
    Parts,
    Said,
    Says,
    moved,
    version_node,
)
from shared.events import registry
from shared.events.envelope import Event


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
    return node, moved(node, MEMBER, f"alias:{data.alias}", _aliased(data, data.before), _aliased(data, data.after))


def _aliased(data: registry.AliasMoved, version: int | None) -> Parts:
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


SAYS: Says = {
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
}
