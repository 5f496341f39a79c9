"""Annex IV, point 1: a general description of the system."""

from services.audit.reports.document import Statement, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.annex_iv.points import on_record
from services.audit.reports.sections.common import in_use, say
from services.audit.reports.words import figures, listed, minute


def general(facts: Facts) -> list[Statement]:
    model, goal = facts.registered, facts.goal
    found = [
        on_record("1(a) intended purpose", goal and f"{goal.data['question']} {goal.data['decision']}".strip(), [goal]),
        on_record(
            "1(a) provider",
            None,
            [model],
            f"the provider's name; the owner of the model is {model.data['owner'] if model else 'not stated'}",
        ),
        say(f"[1(a)] Versions, each with its parents: {_family(facts)}.", *facts.versions),
    ]
    found += [_served(name, said[0]) for name, said in facts.deployments.items()]
    frameworks = [fact for fact in map(facts.version, in_use(facts)) if fact and fact.data["framework"]]
    if frameworks:
        named = listed(f"{one.data['framework']} (version {one.data['version']})" for one in frameworks)
        found.append(say(f"[1(c)] Software: {named}.", *frameworks))
    else:
        found.append(gap("[1(c)] versions of relevant software."))
    found += [_hardware(facts)]
    return [*found, gap("[1(f) to 1(h)] marking, user interface and instructions for use.")]


def _served(name: str, deployed: Fact) -> Statement:
    kind = deployed.data.get("runtime", {}).get("kind")
    if kind == "external":
        return say(f"[1(b), 1(d)] {name} answers in a system elsewhere, which logs its predictions here.", deployed)
    text = f"[1(b), 1(d)] {name} is served by the runtime '{kind}', over HTTP by the Open Inference Protocol v2."
    return say(text, deployed)


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
