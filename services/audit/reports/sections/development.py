"""How the versions were made: data, code, method, parameters, inputs and outputs."""

from collections.abc import Mapping
from typing import Any

from services.audit.reports.document import Block, Row, Section, Table, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import code_named, fields, in_use, pairs, say
from services.audit.reports.words import figures, listed, minute, number, settings


def development(facts: Facts) -> Section:
    source = "SR 26-2, model development and model use · SR 11-7 IV (design, data, testing, documentation)"
    blocks: list[Block] = [_versions(facts)]
    for number_ in in_use(facts):
        version = facts.version(number_)
        if version is not None:
            blocks += [_version(facts, version), *training_data(facts, version), *_process(facts, version)]
            blocks += [_inputs(version)]
    return Section("development", "Development", source, tuple(blocks))


def _versions(facts: Facts) -> Block:
    rows = [
        Row(
            (
                str(fact.data["version"]),
                minute(fact.time),
                fact.actor,
                listed(str(parent) for parent in fact.data["parents"]) or "none",
                fact.data["framework"] or "–",
                figures(fact.data["metrics"]) or "–",
            ),
            ids([fact]),
        )
        for fact in facts.versions
    ]
    if not rows:
        return gap("a version of this model.", ids([facts.registered]))
    columns = ("Version", "Registered (UTC)", "By", "Parents", "Framework", "Metrics stated at registration")
    return Table("Versions", columns, tuple(rows), wide=(0.7, 1.3, 1.0, 0.7, 1.8, 2.2))


def _version(facts: Facts, fact: Fact) -> Block:
    data = fact.data
    parameters = {name: value for name, value in data["params"].items() if value is not None}
    return pairs(
        f"Version {data['version']}",
        [
            ("Description", data["description"], [fact]),
            ("Artifact", data["artifact"]["uri"], [fact]),
            ("SHA-256 of the artifact", data["artifact"]["sha256"], [fact]),
            ("Code", code_named(data["code"]), [fact]),
            ("Branch", data["branch"], [fact]),
            ("Parameters", settings(parameters), [fact]),
            ("Pipeline run", data["pipeline_run"], [fact, _run(facts, fact)]),
        ],
    )


def _run(facts: Facts, version: Fact) -> Fact | None:
    return facts.run(version.data["pipeline_run"]) if version.data["pipeline_run"] else None


def training_data(facts: Facts, version: Fact) -> list[Block]:
    """What the version was trained on, and what that was made from."""
    refs: list[Mapping[str, Any]] = list(version.data["training_data"])
    if not refs:
        return [gap(f"the training data of version {version.data['version']}.", ids([version]))]
    run = _run(facts, version)
    sources = [ref for ref in (run.data["inputs"] if run else []) if ref not in refs]
    rows = [_dataset(facts, ref, "training", version) for ref in refs]
    rows += [_dataset(facts, ref, "source", run) for ref in sources]
    title = f"Data of version {version.data['version']}"
    columns = ("Data set", "Part", "Rows", "Columns", "SHA-256 or digest", "Description")
    return [Table(title, columns, tuple(rows), wide=(1.6, 0.6, 0.6, 0.6, 1.5, 1.6))]


def _dataset(facts: Facts, ref: Mapping[str, Any], part: str, said_by: Fact | None) -> Row:
    fact, name = facts.dataset(ref), f"{ref['dataset']}, version {ref['version']}"
    if fact is None:
        return Row(
            (name, part, "–", "–", "–", "Not on record: this data set was never registered"), ids([said_by]), True
        )
    data = fact.data
    rows = "–" if data["rows"] is None else number(data["rows"])
    columns = number(len(data["columns"])) if data["columns"] else "–"
    digest = f"{data['digest'][:16]}…" if data["digest"] else "–"
    return Row((name, part, rows, columns, digest, data["description"] or "–"), ids((fact, said_by)))


def _process(facts: Facts, version: Fact) -> list[Block]:
    run = _run(facts, version)
    if run is None:
        return [gap(f"the pipeline run that made version {version.data['version']}.", ids([version]))]
    found: list[Block] = [
        say(
            f"Run {run.data['run']} of pipeline {run.data['pipeline']} {run.data['state']}; recorded by {run.actor}, "
            f"code {code_named(run.data['code']) or 'not stated'}.",
            run,
        )
    ]
    pipeline = facts.pipeline(run.data["pipeline"])
    if pipeline is None:
        return [*found, gap(f"the definition of pipeline {run.data['pipeline']}.", ids([run]))]
    if pipeline.data["technique"]:
        found.append(say(f"Method of the pipeline: {pipeline.data['technique']}", pipeline))
    steps = [
        Row(
            (step["name"], listed(step["inputs"]) or "–", listed(step["outputs"]) or "–", step["description"] or "–"),
            ids([pipeline]),
        )
        for step in pipeline.data["steps"]
    ]
    if steps:
        columns = ("Step", "Reads", "Writes", "Description")
        found.append(Table(f"Steps of {pipeline.data['pipeline']}", columns, tuple(steps), wide=(1, 1.6, 1.6, 1.6)))
    return found


def _inputs(version: Fact) -> Block:
    signature = version.data["signature"]
    rows = [
        Row(
            (one["name"], side, one["type"], "yes" if one["required"] else "no", one["description"] or "–"),
            ids([version]),
        )
        for side, name in (("input", "inputs"), ("output", "outputs"))
        for one in fields(signature, name)
    ]
    if not rows:
        return gap(f"inputs and outputs of version {version.data['version']}.", ids([version]))
    title = f"Inputs and outputs of version {version.data['version']}"
    return Table(
        title, ("Name", "Side", "Type", "Required", "Description"), tuple(rows), wide=(1.6, 0.7, 0.8, 0.8, 2.4)
    )
