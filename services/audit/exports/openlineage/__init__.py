"""The lineage of a model as OpenLineage events, in the order in which they happened.

Data sets and pipelines become DatasetEvents and JobEvents; a pipeline's run becomes a START and its end; a version of
a model is the data set that its training run puts out; a deployment is a job that reads versions and writes
predictions. Source: OpenLineage 2-0-2.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from services.audit.exports.openlineage.facets import (
    NAMESPACE,
    PRODUCER,
    SPEC,
    code,
    columns,
    facet,
    owned,
    place,
    schema,
)
from services.audit.reports.facts import Fact, Facts, traffic_after
from shared.events.codec import rfc3339

Document = dict[str, Any]
_ENDS = {"succeeded": "COMPLETE", "failed": "FAIL"}


def events(facts: Facts) -> list[Document]:
    """RunEvents, DatasetEvents and JobEvents of all that the facts say, as of their moment."""
    made = [_dataset_event(fact) for fact in facts.of("DatasetRegistered")]
    made += [_pipeline_event(fact) for fact in facts.of("PipelineRegistered")]
    for fact in facts.of("PipelineRunRecorded"):
        made += _run_events(facts, fact)
    for fact in facts.versions:
        made += _version_events(facts, fact)
    made += [_deployment_event(facts, name, said) for name, said in facts.deployments.items()]
    return sorted(made, key=lambda one: (one["eventTime"], _ORDER[kind_of(one)]))


def kind_of(event: Mapping[str, Any]) -> str:
    """RunEvent, DatasetEvent or JobEvent."""
    return event["schemaURL"].rpartition("/")[2]


_ORDER = {"DatasetEvent": 0, "JobEvent": 1, "RunEvent": 2}


def _envelope(kind: str, time: str) -> Document:
    return {"eventTime": time, "producer": PRODUCER, "schemaURL": SPEC + kind}


def run_id(*names: str) -> str:
    """The UUID of a run: always the same for the same names."""
    return str(uuid5(NAMESPACE_URL, "urn:muniment:run:" + "/".join(names)))


def _named(name: str, facets: Document | None = None) -> Document:
    return {"namespace": NAMESPACE, "name": name, "facets": facets or {}}


def _version_facet(version: int) -> Document:
    return {"version": facet("DatasetVersionDatasetFacet", datasetVersion=str(version))}


def _ref(ref: Mapping[str, Any]) -> Document:
    return _named(ref["dataset"], _version_facet(ref["version"]))


def _dataset_event(fact: Fact) -> Document:
    data = fact.data
    facets = {
        **_version_facet(data["version"]),
        **schema(data["columns"]),
        **columns(data["columns"]),
        **place(data["uri"]),
        "ownership": owned("OwnershipDatasetFacet", fact.actor),
    }
    if data["description"]:
        facets["documentation"] = facet("DocumentationDatasetFacet", description=data["description"])
    return {**_envelope("DatasetEvent", rfc3339(fact.time)), "dataset": _named(data["dataset"], facets)}


def _job_type(processing: str, job: str) -> Document:
    return {"jobType": facet("JobTypeJobFacet", processingType=processing, integration="MUNIMENT", jobType=job)}


def _described(text: str) -> Document:
    return {"documentation": facet("DocumentationJobFacet", description=text)} if text else {}


def _pipeline_event(fact: Fact) -> Document:
    data = fact.data
    text = " ".join(filter(None, (data["description"], data["technique"])))
    facets = {**_job_type("BATCH", "JOB"), **_described(text), **code(data["code"])}
    facets["ownership"] = owned("OwnershipJobFacet", fact.actor)
    job = _named(data["pipeline"], facets)
    return {**_envelope("JobEvent", rfc3339(fact.time)), "job": job, "inputs": [], "outputs": []}


def _run_events(facts: Facts, fact: Fact) -> list[Document]:
    data = fact.data
    pipeline = facts.pipeline(data["pipeline"])
    job = _named(
        data["pipeline"], {**_job_type("BATCH", "JOB"), **code(data["code"] or (pipeline and pipeline.data["code"]))}
    )
    end = data["ended_at"]
    times = {"nominalStartTime": data["started_at"], **({"nominalEndTime": end} if end else {})}
    facets: Document = {"nominalTime": facet("NominalTimeRunFacet", **times)}
    if data["parameters"]:
        parameters = [{"key": key, "value": str(value)} for key, value in sorted(data["parameters"].items())]
        facets["executionParameters"] = facet("ExecutionParametersRunFacet", parameters=parameters)
    run = {"runId": run_id(data["pipeline"], data["run"]), "facets": facets}
    inputs, outputs = [_ref(one) for one in data["inputs"]], [_ref(one) for one in data["outputs"]]
    common = {"run": run, "job": job, "inputs": inputs, "outputs": outputs}
    if data["state"] in _ENDS:
        started = {**_envelope("RunEvent", data["started_at"]), "eventType": "START", **common}
        ended = {**_envelope("RunEvent", end or rfc3339(fact.time)), "eventType": _ENDS[data["state"]], **common}
        return [started, ended]
    return [{**_envelope("RunEvent", data["started_at"]), "eventType": "START", **common}]


def _version_events(facts: Facts, fact: Fact) -> list[Document]:
    """A version as an output of its training run; of a run of its own where none is on record."""
    data, time = fact.data, rfc3339(fact.time)
    run = facts.run(data["pipeline_run"]) if data["pipeline_run"] else None
    if run is not None:
        job, id_ = _named(run.data["pipeline"]), run_id(run.data["pipeline"], run.data["run"])
    else:
        name = f"{facts.model}.training"
        job, id_ = (
            _named(name, {**_job_type("BATCH", "MODEL"), **code(data["code"])}),
            run_id(name, str(data["version"])),
        )
    common = {
        "run": {"runId": id_, "facets": {}},
        "job": job,
        "inputs": [_ref(one) for one in data["training_data"]] + [_model(facts.model, one) for one in data["parents"]],
        "outputs": [_model(facts.model, data["version"], fact)],
    }
    if run is not None:
        return [{**_envelope("RunEvent", time), "eventType": "OTHER", **common}]
    return [{**_envelope("RunEvent", time), "eventType": one, **common} for one in ("START", "COMPLETE")]


def _model(model: str, version: int, fact: Fact | None = None) -> Document:
    facets: Document = _version_facet(version)
    if fact is not None:
        facets |= place(fact.data["artifact"]["uri"])
        facets["ownership"] = owned("OwnershipDatasetFacet", fact.actor)
        if fact.data["description"]:
            facets["documentation"] = facet("DocumentationDatasetFacet", description=fact.data["description"])
    return _named(f"models/{model}", facets)


def _deployment_event(facts: Facts, name: str, said: Sequence[Fact]) -> Document:
    """A deployment as it is now: who answers, who is tried, and the predictions that come out."""
    last = said[-1]
    traffic = traffic_after(last)
    versions = [traffic["champion"], *(one["version"] for one in traffic["challengers"]), *traffic["shadows"]]
    state = "retired" if last.type == "Retired" else f"version {traffic['champion']} answers"
    facets = {**_job_type("STREAMING", "MODEL"), **_described(f"Serves {facts.model} as {name}: {state}.")}
    facets["ownership"] = owned("OwnershipJobFacet", last.actor)
    newest = facts.version(traffic["champion"])
    signature = newest.data["signature"] if newest else {"inputs": [], "outputs": []}
    out = _named(f"predictions/{name}", schema([*signature["inputs"], *signature["outputs"]]))
    return {
        **_envelope("JobEvent", rfc3339(last.time)),
        "job": _named(f"deployments/{name}", facets),
        "inputs": [_model(facts.model, version) for version in dict.fromkeys(versions)],
        "outputs": [out],
    }
