"""Decision models (OMG DMN 1.5): business decisions, and what informs them. Stream `decision/{name}`; said anew, it is
the next version."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from xml.etree import ElementTree

from services.registry.domain.frozen import differences
from services.registry.domain.names import check_name
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import DecisionModelled

initial: tuple[DecisionModelled, ...] = ()

_NAMESPACE = re.compile(r"\{https?://www\.omg\.org/spec/DMN/[^}]+\}")


@dataclass(frozen=True, slots=True)
class ModelDecision:
    """`decision.version` and `decision.dmn_sha256` are not looked at. `required`: of every decision that it requires,
    and that those require in turn, what the newest version requires."""

    decision: DecisionModelled
    required: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])


def decide(state: tuple[DecisionModelled, ...], command: ModelDecision) -> Sequence[Payload]:
    """The next version, or nothing where the newest says the same. Raises Refused: bad name, 422 `bad-dmn`,
    `bad-decision` where it names something twice or requires itself, if only by way of others (the graph of DMN's
    information requirements has no cycle)."""
    said = command.decision
    check_name("decision", said.decision)
    for what, names in (
        ("models", [one.model for one in said.models]),
        ("requires", said.requires),
        ("kpis", said.kpis),
    ):
        if len(set(names)) < len(names):
            raise Refused("bad-decision", f"'{what}' names something twice.", status=422)
    digest = ""
    if said.dmn:
        check_dmn(said.decision, said.dmn)
        digest = hashlib.sha256(said.dmn.encode()).hexdigest()
    given = said.model_copy(update={"version": len(state) + 1, "dmn_sha256": digest})
    if state and not differences(state[-1], given, ignored=("version",)):
        return []
    _check_required(said, command.required)
    return [given]


def _check_required(said: DecisionModelled, required: Mapping[str, Sequence[str]]) -> None:
    ways = [[said.decision, name] for name in said.requires]
    seen: set[str] = set()
    while ways:
        way = ways.pop()
        if way[-1] == said.decision:
            detail = f"A decision does not require itself, not even by way of others: {' → '.join(way)}."
            raise Refused("bad-decision", detail, status=422)
        if way[-1] not in seen:
            seen.add(way[-1])
            ways += [[*way, name] for name in required.get(way[-1], ())]


def evolve(state: tuple[DecisionModelled, ...], event: Event) -> tuple[DecisionModelled, ...]:
    return (*state, event.data) if isinstance(event.data, DecisionModelled) else state


def check_dmn(name: str, text: str) -> None:
    """Raises Refused 422 `bad-dmn`: no XML, no DMN, or no decision whose id or name is `name`."""
    if "<!" in text.replace("<!--", "").replace("<![CDATA[", ""):
        raise _bad("it has a document type or entities, which are not read")
    try:
        root = ElementTree.fromstring(text)  # noqa: S314
    except (ElementTree.ParseError, ValueError) as error:
        raise _bad(f"it is no XML: {error}") from error
    if not (_NAMESPACE.match(root.tag) and root.tag.endswith("}definitions")):
        raise _bad("its root is no 'definitions' in a namespace of DMN")
    found = [one for one in root.iter() if one.tag.endswith("}decision")]
    named = [one.get(key, "") for one in found for key in ("id", "name")]
    if name not in named:
        raise _bad(
            f"none of its decisions has the id or name '{name}'; it has {', '.join(filter(None, named)) or 'none'}"
        )


def _bad(why: str) -> Refused:
    return Refused("bad-dmn", f"The DMN cannot be taken in: {why}.", status=422)
