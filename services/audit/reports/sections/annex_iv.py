"""Technical documentation by Annex IV of Regulation (EU) 2024/1689, point by point: what is on record of each, and what
is not. Where a fact stands in full in another section, its name is given."""

from collections.abc import Callable, Iterable

from services.audit.reports.document import Block, Section, Statement, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import fields, in_use, say
from services.audit.reports.sections.monitoring import main_metric
from services.audit.reports.words import count, figures, listed, minute, number

Point = tuple[str, str, str, Callable[[Facts], list[Statement]]]


def sections(facts: Facts) -> tuple[Section, ...]:
    return tuple(_section(facts, *point) for point in _POINTS)


def _section(facts: Facts, name: str, title: str, source: str, say_: Callable[[Facts], list[Statement]]) -> Section:
    blocks: tuple[Block, ...] = tuple(say_(facts))
    return Section(name, title, f"Annex IV, {source}", blocks)


def _general(facts: Facts) -> list[Statement]:
    model, goal = facts.registered, facts.goal
    found = [
        _or_gap("1(a) intended purpose", goal and f"{goal.data['question']} {goal.data['decision']}".strip(), [goal]),
        _or_gap(
            "1(a) provider",
            None,
            [model],
            f"the provider's name; the owner of the model is {model.data['owner'] if model else 'not stated'}",
        ),
        say(f"[1(a)] Versions, each with its parents: {_family(facts)}.", *facts.versions),
    ]
    runtimes = {name: said[0] for name, said in facts.deployments.items()}
    for name, fact in runtimes.items():
        kind = fact.data.get("runtime", {}).get("kind", "not stated")
        found.append(
            say(
                f"[1(b), 1(d)] {name} is served by the runtime '{kind}', over HTTP by the Open Inference Protocol v2.",
                fact,
            )
        )
    frameworks = [fact for fact in map(facts.version, in_use(facts)) if fact and fact.data["framework"]]
    if frameworks:
        named = listed(f"{one.data['framework']} (version {one.data['version']})" for one in frameworks)
        found.append(say(f"[1(c)] Software: {named}.", *frameworks))
    else:
        found.append(gap("[1(c)] versions of relevant software."))
    found += [_hardware(facts)]
    return [*found, gap("[1(f) to 1(h)] marking, user interface and instructions for use.")]


def _family(facts: Facts) -> str:
    return "; ".join(
        f"version {one.data['version']} of {minute(one.time)} UTC from "
        f"{listed(map(str, one.data['parents'])) or 'none'}"
        for one in facts.versions
    )


def _hardware(facts: Facts) -> Statement:
    stated = [(name, said[0], said[0].data.get("resources") or {}) for name, said in facts.deployments.items()]
    known = [(name, fact, res) for name, fact, res in stated if any(res.get(one) for one in ("cpu", "memory_mib"))]
    if not known:
        return gap("[1(e)] the hardware on which the model is to run.", ids(fact for _, fact, _ in stated))
    text = "; ".join(f"{name}: {figures({k: v for k, v in res.items() if v is not None})}" for name, _, res in known)
    return say(f"[1(e)] Resources of the deployments: {text}.", *(fact for _, fact, _ in known))


def _elements(facts: Facts) -> list[Statement]:
    found: list[Statement] = []
    for number_ in in_use(facts):
        version = facts.version(number_)
        if version is not None:
            found += _elements_of(facts, version)
    return found or [gap("[2] the elements of the system and the process of its development.")]


def _elements_of(facts: Facts, version: Fact) -> list[Statement]:
    data, number_ = version.data, version.data["version"]
    run = facts.run(data["pipeline_run"]) if data["pipeline_run"] else None
    pipeline = facts.pipeline(run.data["pipeline"]) if run else None
    steps = [step["name"] for step in pipeline.data["steps"]] if pipeline else []
    model, sets = facts.registered, [facts.dataset(ref) for ref in data["training_data"]]
    named = listed(f"{ref['dataset']} version {ref['version']}" for ref in data["training_data"])
    evidence = facts.about(number_, "EvidenceRecorded")
    security = [fact for fact in evidence if fact.data["kind"] == "security"]
    inputs = len(fields(data["signature"], "inputs"))
    return [
        _or_gap(
            f"2(a) methods and steps for version {number_}",
            steps and f"{pipeline and pipeline.data['technique']} Steps: {listed(steps)}.",
            [pipeline, run],
        ),
        _or_gap(
            f"2(b) general logic of version {number_}",
            model
            and model.data["technique"]
            and f"{model.data['technique']} {data['description']}, {count(inputs, 'input')}.",
            [model, version],
        ),
        gap(f"[2(b)] the rationale of the design choices of version {number_}, and groups of persons meant."),
        gap(f"[2(c)] the computational resources used to develop version {number_}."),
        _or_gap(f"2(d) training data of version {number_}", named and f"{named}; see Development.", [version, *sets]),
        _or_gap(
            f"2(e) human oversight of version {number_}",
            _oversight(facts),
            [*facts.of("ApprovalGranted"), *(said[0] for said in facts.flags.values())],
        ),
        gap(f"[2(f)] pre-determined changes of version {number_}."),
        _or_gap(
            f"2(g) validation and testing of version {number_}",
            evidence
            and listed(f"{one.data['name']} ({'passed' if one.data['passed'] else 'failed'})" for one in evidence)
            + "; see Validation.",
            evidence,
        ),
        _or_gap(
            f"2(h) cybersecurity of version {number_}",
            security and listed(one.data["name"] for one in security),
            security,
            "evidence of cybersecurity measures",
        ),
    ]


def _oversight(facts: Facts) -> str:
    flags, approvals = len(facts.flags), len(facts.of("ApprovalGranted", "ApprovalRejected"))
    if not flags and not approvals:
        return ""
    return (
        f"people decided on {count(approvals, 'approval')} before use and raised {count(flags, 'flag')} on single "
        "answers "
        "in use; rollback is one command. An assessment of the measures that Article 14 needs is not on record."
    )


def _control(facts: Facts) -> list[Statement]:
    metric, windows = main_metric(facts.windows), facts.windows
    values = [fact.data["quality"][metric] for fact in windows if metric in fact.data["quality"]] if metric else []
    found = [
        _or_gap(
            "3 accuracy in use",
            values
            and f"{metric} between {number(min(values))} and {number(max(values))} over "
            f"{count(len(values), 'window')}; see Monitoring.",
            windows,
        ),
        *_groups(facts),
        gap("[3] foreseeable unintended outcomes and sources of risks to health, safety and fundamental rights."),
    ]
    for version in filter(None, map(facts.version, in_use(facts))):
        names = listed(one["name"] for one in fields(version.data["signature"], "inputs"))
        found.append(_or_gap(f"3 input data of version {version.data['version']}", names, [version]))
    return found


def _groups(facts: Facts) -> list[Statement]:
    """What is declared to be watched of groups of persons; their figures stand in the monitor's own views."""
    versions = [fact for fact in map(facts.version, in_use(facts)) if fact and fact.data.get("protected")]
    found = [
        say(
            f"[3] Version {fact.data['version']} is watched by "
            f"{listed(one['name'] for one in fact.data['protected'])}, so that no group is treated worse.",
            fact,
        )
        for fact in versions
    ]
    return found or [gap("[3] accuracy for specific persons or groups of persons.")]


def _metrics(facts: Facts) -> list[Statement]:
    if not facts.kpis:
        return [gap("[4] why the performance metrics suit the system; no KPI is defined.")]
    return [
        say(
            f"[4] {one.data['kpi']} ({one.data['unit']}) is the figure that the goal is measured by. "
            f"{one.data['description']}".strip(),
            one,
        )
        for one in facts.kpis
    ]


def _risk(facts: Facts) -> list[Statement]:
    model = facts.registered
    tier = _or_gap("5 risk tier", model and model.data["risk_tier"], [model])
    return [
        tier,
        gap("[5] the risk management system that Article 9 asks for; Muniment keeps the tier, not the assessment."),
    ]


def _changes(facts: Facts) -> list[Statement]:
    found = facts.of("TrafficChanged", "Promoted", "RolledBack", "Retired", "Deployed", "AliasMoved")
    text = (
        f"{count(len(facts.versions), 'version')} and {count(len(found), 'change')} of what is in use; each is "
        "listed under Changes in use."
    )
    return [say(f"[6] {text}", *facts.versions, *found)]


def _standards(facts: Facts) -> list[Statement]:
    named = facts.of("EvidenceRecorded", where=lambda data: data["kind"] == "compliance")
    if not named:
        return [gap("[7] the harmonised standards or other specifications that were applied.")]
    names = listed(f"{one.data['name']} ({'passed' if one.data['passed'] else 'failed'})" for one in named)
    return [say(f"[7] Evidence of compliance: {names}.", *named)]


def _declaration(facts: Facts) -> list[Statement]:
    return [gap("[8] a copy of the EU declaration of conformity; Muniment does not keep it.")]


def _post_market(facts: Facts) -> list[Statement]:
    live = [said[0] for said in facts.deployments.values()]
    return [
        _or_gap(
            "9 evaluation after the start of use",
            facts.windows and f"{count(len(facts.windows), 'window')} measured; see Article 72.",
            facts.windows,
        ),
        gap("[9] the post-market monitoring plan of Article 72(3).", ids(live)),
    ]


def _or_gap(point: str, text: object, facts: Iterable[Fact | None], lacking: str = "") -> Statement:
    """The statement about a point, or the gap where there is nothing to say."""
    place, _, what = point.partition(" ")
    if not text:
        return gap(f"[{place}] {lacking or what}.", ids(facts))
    words = str(text)
    end = "" if words.endswith((".", "?")) else "."
    return Statement(f"[{place}] {what[0].upper()}{what[1:]}: {words}{end}", ids(facts))


_POINTS: tuple[Point, ...] = (
    ("annex-iv-1", "General description", "point 1", _general),
    ("annex-iv-2", "Elements and development", "point 2", _elements),
    ("annex-iv-3", "Monitoring, functioning and control", "point 3", _control),
    ("annex-iv-4", "Appropriateness of the performance metrics", "point 4", _metrics),
    ("annex-iv-5", "Risk management system", "point 5", _risk),
    ("annex-iv-6", "Relevant changes through the lifecycle", "point 6", _changes),
    ("annex-iv-7", "Standards applied", "point 7", _standards),
    ("annex-iv-8", "EU declaration of conformity", "point 8", _declaration),
    ("annex-iv-9", "Performance in the post-market phase", "point 9", _post_market),
)
