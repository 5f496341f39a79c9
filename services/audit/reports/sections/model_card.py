"""A model card. Source: Mitchell et al., "Model Cards for Model Reporting", FAT* 2019, sections 4.1 to 4.9."""

from services.audit.reports.document import Block, Section, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import code_named, formula, in_use, say
from services.audit.reports.sections.development import training_data
from services.audit.reports.sections.inventory import restrictions
from services.audit.reports.sections.outcomes import quality_table
from services.audit.reports.words import date, figures, listed, number

_SOURCE = "Mitchell et al. 2019, {}"


def sections(facts: Facts) -> tuple[Section, ...]:
    made = (
        ("card-details", "Model details", "4.1", _details(facts)),
        ("card-use", "Intended use", "4.2", _use(facts)),
        ("card-factors", "Factors", "4.3", _factors(facts)),
        ("card-metrics", "Metrics", "4.4", _metrics(facts)),
        ("card-evaluation", "Evaluation data", "4.5", _evaluation(facts)),
        ("card-training", "Training data", "4.6", _training(facts)),
        ("card-analyses", "Quantitative analyses", "4.7", _analyses(facts)),
        ("card-ethics", "Ethical considerations", "4.8", [gap("ethical considerations of the makers.")]),
        ("card-caveats", "Caveats and recommendations", "4.9", list(restrictions(facts))),
    )
    return tuple(Section(name, title, _SOURCE.format(place), tuple(blocks)) for name, title, place, blocks in made)


def _current(facts: Facts) -> list[Fact]:
    return [version for version in map(facts.version, in_use(facts)) if version is not None]


def _details(facts: Facts) -> list[Block]:
    found: list[Block] = []
    for version in _current(facts):
        data = version.data
        text = (
            f"Version {data['version']} of {facts.model}, registered by {version.actor} on {date(version.time)}; "
            f"{data['description'] or 'no description'}; {data['framework'] or 'framework not stated'}; code "
            f"{code_named(data['code']) or 'not stated'}."
        )
        found.append(say(text, version))
    model = facts.registered
    if model and model.data["technique"]:
        found.append(say(model.data["technique"], model))
    return [*found, gap("licence, citation and where to send questions.")]


def _use(facts: Facts) -> list[Block]:
    goal = facts.goal
    if goal is None:
        return [gap("intended use.")]
    used_by = say(f"Primary intended user: {goal.data['owner']}, who stated the goal.", goal)
    found: list[Block] = [
        say(f"Primary intended use: {goal.data['question']} {goal.data['decision']}".strip(), goal),
        used_by,
    ]
    return [*found, gap("uses out of scope.")]


def _factors(facts: Facts) -> list[Block]:
    found: list[Block] = []
    for version in _current(facts):
        for one in version.data.get("protected") or ():
            by = f"input {one['feature']}" if one.get("feature") else "the segment of each prediction"
            found.append(
                say(f"Protected attribute of version {version.data['version']}: {one['name']}, by {by}.", version)
            )
    return found or [gap("groups, instruments or environments by which performance is told apart.")]


def _metrics(facts: Facts) -> list[Block]:
    found: list[Block] = [
        say(f"{one.data['kpi']}: {formula(one.data)}, in {one.data['unit']}.", one) for one in facts.kpis
    ]
    measured = sorted({name for fact in facts.windows for name in fact.data["quality"]})
    if measured:
        found.append(say(f"Measured in every window with outcomes: {listed(measured)}.", *facts.windows[-1:]))
    thresholds = [one for one in facts.kpis if one.data["formula"].get("threshold") is not None]
    found += [
        say(f"Decision threshold of {one.data['kpi']}: {number(one.data['formula']['threshold'])}.", one)
        for one in thresholds
    ]
    return found or [gap("metrics of performance.")]


def _evaluation(facts: Facts) -> list[Block]:
    found: list[Block] = [
        say(f"Test {fact.data['name']} of version {fact.data['version']}: {fact.data['report']}", fact)
        for version in _current(facts)
        for fact in facts.about(version.data["version"], "EvidenceRecorded")
        if fact.data["report"]
    ]
    return [*found, gap("the evaluation data as a registered data set; what is known of it is in the tests' reports.")]


def _training(facts: Facts) -> list[Block]:
    found = [block for version in _current(facts) for block in training_data(facts, version)]
    return found or [gap("training data.")]


def _analyses(facts: Facts) -> list[Block]:
    stated: list[Block] = [
        say(f"At registration version {one.data['version']} stated {figures(one.data['metrics'])}.", one)
        for one in _current(facts)
        if one.data["metrics"]
    ]
    shown = in_use(facts)
    windows = [fact for fact in facts.windows if fact.data["outcomes"] and fact.data["version"] in shown]
    if not windows:
        return [*stated, gap("results in use.", ids(facts.windows))]
    return [*stated, quality_table(windows), gap("results broken down by factor, and their intersections.")]
