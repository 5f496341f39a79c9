"""Annex IV, point 2: the elements of the system and the process of its development, of each version in use."""

from services.audit.reports.document import Statement, gap
from services.audit.reports.facts import Fact, Facts
from services.audit.reports.sections.annex_iv.points import on_record
from services.audit.reports.sections.common import fields, in_use
from services.audit.reports.words import count, listed


def elements(facts: Facts) -> list[Statement]:
    versions = [version for version in map(facts.version, in_use(facts)) if version is not None]
    found = [one for version in versions for one in (*_made(facts, version), *_judged(facts, version))]
    return found or [gap("[2] the elements of the system and the process of its development.")]


def _made(facts: Facts, version: Fact) -> list[Statement]:
    """2(a) to 2(d): methods, logic, resources, data."""
    data, number = version.data, version.data["version"]
    run = facts.run(data["pipeline_run"]) if data["pipeline_run"] else None
    pipeline = facts.pipeline(run.data["pipeline"]) if run else None
    steps = listed(step["name"] for step in pipeline.data["steps"]) if pipeline else ""
    methods = f"{pipeline.data['technique']} Steps: {steps}." if pipeline and steps else ""
    model, sets = facts.registered, [facts.dataset(ref) for ref in data["training_data"]]
    technique = model.data["technique"] if model else ""
    inputs = count(len(fields(data["signature"], "inputs")), "input")
    logic = f"{technique} {data['description']}, {inputs}." if technique else ""
    named = listed(f"{ref['dataset']} version {ref['version']}" for ref in data["training_data"])
    return [
        on_record(f"2(a) methods and steps for version {number}", methods, [pipeline, run]),
        on_record(f"2(b) general logic of version {number}", logic, [model, version]),
        gap(f"[2(b)] the rationale of the design choices of version {number}, and groups of persons meant."),
        gap(f"[2(c)] the computational resources used to develop version {number}."),
        on_record(f"2(d) training data of version {number}", named and f"{named}; see Development.", [version, *sets]),
    ]


def _judged(facts: Facts, version: Fact) -> list[Statement]:
    """2(e) to 2(h): oversight, changes, validation, security."""
    number = version.data["version"]
    evidence = facts.about(number, "EvidenceRecorded")
    tests = listed(f"{one.data['name']} ({'passed' if one.data['passed'] else 'failed'})" for one in evidence)
    security = [fact for fact in evidence if fact.data["kind"] == "security"]
    secured = listed(one.data["name"] for one in security)
    watched = [*facts.of("ApprovalGranted", "ApprovalRejected"), *(said[0] for said in facts.flags.values())]
    return [
        on_record(f"2(e) human oversight of version {number}", _oversight(facts), watched),
        gap(f"[2(f)] pre-determined changes of version {number}."),
        on_record(f"2(g) validation and testing of version {number}", tests and f"{tests}; see Validation.", evidence),
        on_record(f"2(h) cybersecurity of version {number}", secured, security, "evidence of cybersecurity measures"),
    ]


def _oversight(facts: Facts) -> str:
    flags, approvals = len(facts.flags), len(facts.of("ApprovalGranted", "ApprovalRejected"))
    if not flags and not approvals:
        return ""
    return (
        f"people decided on {count(approvals, 'approval')} before use and raised {count(flags, 'flag')} on single "
        "answers in use; rollback is one command. An assessment of the measures that Article 14 needs is not on record."
    )
