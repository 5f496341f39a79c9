"""The model card of CycloneDX 1.6: parameters, quantitative analysis with graphics, considerations."""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

from services.audit.reports.document import Block, Chart
from services.audit.reports.facts import Fact, Facts
from services.audit.reports.sections.monitoring import quality_chart
from services.audit.reports.sections.outcomes import outcomes

Document = dict[str, Any]
_TASKS = {"binary": "binary classification", "multiclass": "multiclass classification", "regression": "regression"}


def model_card(facts: Facts, version: Fact) -> Document:
    """What is on record of one version; nothing is filled in where nothing is."""
    card: Document = {
        "bom-ref": f"card/{facts.model}@{version.data['version']}",
        "modelParameters": _parameters(facts, version),
        "quantitativeAnalysis": _analysis(facts, version),
    }
    considerations = _considerations(facts, version)
    return card | ({"considerations": considerations} if considerations else {})


def _parameters(facts: Facts, version: Fact) -> Document:
    data, model = version.data, facts.registered
    made: Document = {
        "datasets": [{"ref": f"dataset/{one['dataset']}@{one['version']}"} for one in data["training_data"]],
        "inputs": [{"format": _field(one)} for one in data["signature"]["inputs"]],
        "outputs": [{"format": _field(one)} for one in data["signature"]["outputs"]],
    }
    task = _TASKS.get(data.get("task") or "")
    made |= {"task": task, "approach": {"type": "supervised"}} if task else {}
    made |= {"architectureFamily": model.data["technique"]} if model and model.data["technique"] else {}
    return made | ({"modelArchitecture": data["description"]} if data["description"] else {})


def _field(said: Mapping[str, Any]) -> str:
    return f"{said['name']}: {said['type']}{'' if said['required'] else ', may be missing'}"


def _analysis(facts: Facts, version: Fact) -> Document:
    data = version.data
    metrics = [_metric(name, value, "at registration") for name, value in sorted(data["metrics"].items())]
    for fact in facts.about(data["version"], "EvidenceRecorded"):
        metrics += [
            _metric(name, value, f"test {fact.data['name']}") for name, value in sorted(fact.data["metrics"].items())
        ]
    own = [fact for fact in facts.windows if fact.data["version"] == data["version"] and fact.data["quality"]]
    if own:
        last = own[-1]
        where = f"{last.data['deployment']}, window from {last.data['window_start']}"
        metrics += [
            _metric(name, value, where) for name, value in sorted(last.data["quality"].items()) if value is not None
        ]
        metrics += [
            _metric(f"{one['kpi']} ({one['unit']} per case)", one["per_case"], where) for one in last.data["kpis"]
        ]
    made: Document = {"performanceMetrics": metrics}
    drawn = [_graphic(block) for block in _drawings(facts)]
    return made | ({"graphics": {"collection": drawn}} if drawn else {})


def _metric(name: str, value: float, part: str) -> Document:
    return {"type": name, "value": repr(value), "slice": part}


def _drawings(facts: Facts) -> list[Chart]:
    blocks: list[Block] = [*quality_chart(facts, facts.windows), *outcomes(facts).blocks]
    return [block for block in blocks if isinstance(block, Chart)]


def _graphic(chart: Chart) -> Document:
    image = {"contentType": "image/svg+xml", "encoding": "base64", "content": b64encode(chart.svg.encode()).decode()}
    return {"name": chart.title, "image": image}


def _considerations(facts: Facts, version: Fact) -> Document:
    goal, number = facts.goal, version.data["version"]
    made: Document = {}
    if goal:
        made["users"] = [goal.data["owner"]]
        made["useCases"] = [" ".join(filter(None, (goal.data["question"], goal.data["decision"])))]
    limits = [one for fact in facts.about(number, "ApprovalGranted") for one in fact.data["conditions"]]
    limits += [
        fact.data["comment"]
        for said in facts.flags.values()
        for fact in said
        if fact.type == "FlagResolved" and fact.data["resolution"] in ("model_defect", "data_defect")
    ]
    if limits:
        made["technicalLimitations"] = limits
    groups = [one["name"] for one in version.data.get("protected") or ()]
    if groups:
        made["fairnessAssessments"] = [{"groupAtRisk": name} for name in groups]
    return made
