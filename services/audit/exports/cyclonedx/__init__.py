"""A model as a CycloneDX 1.6 machine-learning bill of materials.

The model's version in use is the component that the document describes, with its model card; data sets, framework and
the versions it came from are components that it depends on; the training run is a workflow; approvals and evidence are
annotations. Source: CycloneDX 1.6 JSON schema (`bom-1.6.schema.json`), `modelCard` and `formulation`.
"""

from collections.abc import Mapping
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from services.audit.exports.cyclonedx.card import model_card
from services.audit.exports.uris import as_uri
from services.audit.reports.facts import Fact, Facts
from services.audit.reports.sections.common import in_use
from shared.events.codec import rfc3339

Document = dict[str, Any]


def document(facts: Facts) -> Document:
    """The bill of materials of the version in use (the newest where none is), as of the facts' moment."""
    version = facts.version(in_use(facts)[0]) if facts.versions else None
    serial = uuid5(
        NAMESPACE_URL, f"urn:muniment:mbom:{facts.model}:{facts.at.isoformat()}:{facts.known_at.isoformat()}"
    )
    made: Document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{serial}",
        "version": 1,
        "metadata": _metadata(facts, version),
        "components": [],
        "dependencies": [],
    }
    if version is None:
        return made
    parts = [*_datasets(facts, version), *_parents(facts, version), *_framework(version)]
    made["components"] = list({part["bom-ref"]: part for part in parts}.values())
    refs = [part["bom-ref"] for part in made["components"]]
    made["dependencies"] = [{"ref": ref_of(facts.model, version), "dependsOn": refs}, *({"ref": ref} for ref in refs)]
    formulation = _formulation(facts, version)
    if formulation:
        made["formulation"] = formulation
    made["annotations"] = _annotations(facts, version)
    return made


def ref_of(model: str, version: Fact) -> str:
    return f"model/{model}@{version.data['version']}"


def _metadata(facts: Facts, version: Fact | None) -> Document:
    tool = {"type": "application", "name": "Muniment", "description": "Record room of machine learning"}
    properties = [
        {"name": "muniment:at", "value": rfc3339(facts.at)},
        {"name": "muniment:known_at", "value": rfc3339(facts.known_at)},
    ]
    return {
        "timestamp": rfc3339(facts.known_at),
        "tools": {"components": [tool]},
        "component": _component(facts, version) if version else {"type": "machine-learning-model", "name": facts.model},
        "properties": properties,
    }


def _component(facts: Facts, version: Fact) -> Document:
    data, model = version.data, facts.registered
    component: Document = {
        "bom-ref": ref_of(facts.model, version),
        "type": "machine-learning-model",
        "name": facts.model,
        "version": str(data["version"]),
        "authors": [{"name": version.actor}],
        "hashes": [{"alg": "SHA-256", "content": data["artifact"]["sha256"].lower()}],
        "modelCard": model_card(facts, version),
        "externalReferences": _references(data),
        "properties": _properties(version),
    }
    description = " ".join(filter(None, (data["description"], model.data["description"] if model else "")))
    return component | ({"description": description} if description else {})


def _references(data: Mapping[str, Any]) -> list[Document]:
    found: list[Document] = [{"type": "distribution", "url": as_uri(data["artifact"]["uri"])}]
    if data["code"]:
        found.append(
            {"type": "vcs", "url": as_uri(data["code"]["repo"]), "comment": f"commit {data['code']['commit']}"}
        )
    return found


def _properties(version: Fact) -> list[Document]:
    parameters = [
        {"name": f"muniment:param:{key}", "value": str(value)} for key, value in sorted(version.data["params"].items())
    ]
    return [{"name": "muniment:event_id", "value": version.id}, *parameters]


def _datasets(facts: Facts, version: Fact) -> list[Document]:
    run = facts.run(version.data["pipeline_run"]) if version.data["pipeline_run"] else None
    refs = [*version.data["training_data"], *(run.data["inputs"] if run else ())]
    return [_dataset(ref, facts.dataset(ref)) for ref in refs]


def _dataset(ref: Mapping[str, Any], fact: Fact | None) -> Document:
    name = f"dataset/{ref['dataset']}@{ref['version']}"
    made: Document = {"bom-ref": name, "type": "data", "name": ref["dataset"], "version": str(ref["version"])}
    if fact is None:
        return made
    data = fact.data
    said: Document = {"type": "dataset", "name": ref["dataset"], "contents": {"url": as_uri(data["uri"])}}
    said["governance"] = {"owners": [{"contact": {"name": fact.actor}}]}
    made |= {"data": [said], "properties": [{"name": "muniment:event_id", "value": fact.id}]}
    if data["description"]:
        made["description"] = data["description"]
    digest = (data["digest"] or "").lower()
    if len(digest) == 64 and set(digest) <= set("0123456789abcdef"):
        made["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return made


def _parents(facts: Facts, version: Fact) -> list[Document]:
    parents = [facts.version(number) for number in version.data["parents"]]
    return [
        {
            "bom-ref": ref_of(facts.model, parent),
            "type": "machine-learning-model",
            "name": facts.model,
            "version": str(parent.data["version"]),
            "hashes": [{"alg": "SHA-256", "content": parent.data["artifact"]["sha256"].lower()}],
        }
        for parent in parents
        if parent is not None
    ]


def _framework(version: Fact) -> list[Document]:
    name = version.data["framework"]
    return [{"bom-ref": f"framework/{name}", "type": "framework", "name": name}] if name else []


def _formulation(facts: Facts, version: Fact) -> list[Document]:
    run = facts.run(version.data["pipeline_run"]) if version.data["pipeline_run"] else None
    if run is None:
        return []
    data, pipeline = run.data, facts.pipeline(run.data["pipeline"])
    name = f"run/{data['pipeline']}/{data['run']}"
    sources = [{"resource": {"ref": f"dataset/{one['dataset']}@{one['version']}"}} for one in data["inputs"]]
    workflow: Document = {
        "bom-ref": name,
        "uid": name,
        "name": data["pipeline"],
        "taskTypes": ["build"],
        "steps": [{"name": step["name"]} for step in (pipeline.data["steps"] if pipeline else ())],
        "inputs": sources,
        "outputs": [{"type": "artifact", "resource": {"ref": ref_of(facts.model, version)}}],
        "timeStart": data["started_at"],
    }
    if data["ended_at"]:
        workflow["timeEnd"] = data["ended_at"]
    return [{"bom-ref": f"formula/{name}", "workflows": [workflow]}]


def _annotations(facts: Facts, version: Fact) -> list[Document]:
    said = facts.about(version.data["version"], "EvidenceRecorded", "ApprovalGranted", "ApprovalRejected")
    return [
        {
            "bom-ref": f"event/{fact.id}",
            "subjects": [ref_of(facts.model, version)],
            "annotator": {"individual": {"name": fact.actor}},
            "timestamp": rfc3339(fact.time),
            "text": _text(fact),
        }
        for fact in said
    ]


def _text(fact: Fact) -> str:
    data = fact.data
    if fact.type == "EvidenceRecorded":
        result = "passed" if data["passed"] else "failed"
        return f"Evidence of {data['kind']}: {data['name']} {result}. {data['report']}".strip()
    verdict = "Approved" if fact.type == "ApprovalGranted" else "Rejected"
    conditions = "; ".join(data.get("conditions", ()))
    return f"{verdict} as {data['role']}. {data['comment']} {'Conditions: ' + conditions if conditions else ''}".strip()
