"""Which nodes and edges of a walk are drawn: all of a graph that a page can hold, else the nearest, with what is left
out counted."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.audit.drawing.words import card

ALIKE = 6
"""Cards for nodes of one kind with the same neighbours; where there are more of them, the last stands for the rest."""

ALIKE_MANY = 3
"""The same for kinds that there are MANY of."""

MANY = frozenset({"alert", "batch", "breach", "drift", "joined", "outcome", "window"})
"""Kinds that there is one of for each day or batch: which of them a node hangs on does not keep it from sharing a card
with others that hang on the same things beside."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A card. `start`: the graph was asked for it; `more`: it stands for so many nodes (0: for itself)."""

    name: str
    kind: str
    title: str
    line: str
    start: bool = False
    more: int = 0


@dataclass(frozen=True, slots=True)
class Arrow:
    """From what came later to what it came from, or what it is about."""

    src: str
    dst: str
    role: str


@dataclass(frozen=True, slots=True)
class Picture:
    """`hidden`: nodes that are not drawn since the page would not hold them."""

    nodes: tuple[Shown, ...]
    arrows: tuple[Arrow, ...]
    hidden: int = 0


def picture(answer: Mapping[str, Any], starts: Sequence[str], most: int) -> Picture:
    """The picture of a lineage answer (`nodes`, `edges`), whose nodes come in the order of their distance."""
    named = {f"{node['kind']}/{node['id']}": node for node in answer["nodes"]}
    around: dict[str, set[str]] = {name: set() for name in named}
    for edge in answer["edges"]:
        if edge["src"] in named and edge["dst"] in named:
            around[edge["src"]].add(edge["dst"])
            around[edge["dst"]].add(edge["src"])
    place, crowds = _crowded(named, around, set(starts))
    kept = list(dict.fromkeys(place.values()))[:most]
    shown = [_shown(name, named, crowds, name in starts) for name in kept]
    arrows = dict.fromkeys(
        Arrow(place[edge["src"]], place[edge["dst"]], edge["role"] or edge["relation"])
        for edge in answer["edges"]
        if edge["src"] in place and edge["dst"] in place
    )
    inside = set(kept)
    drawn = tuple(one for one in arrows if one.src in inside and one.dst in inside and one.src != one.dst)
    hidden = sum(name not in inside for name in place.values())
    return Picture(tuple(shown), drawn, hidden)


def _crowded(
    named: Mapping[str, Any], around: Mapping[str, set[str]], starts: set[str]
) -> tuple[dict[str, str], dict[str, int]]:
    """Node → the card that shows it; card of a crowd → how many nodes it stands for."""
    alike: dict[tuple[str, frozenset[str]], list[str]] = {}
    for name, node in named.items():
        if name not in starts:
            beside = frozenset(one for one in around[name] if named[one]["kind"] not in MANY)
            alike.setdefault((node["kind"], beside), []).append(name)
    place, crowds = {name: name for name in named}, dict[str, int]()
    for names in alike.values():
        most = ALIKE_MANY if named[names[0]]["kind"] in MANY else ALIKE
        if len(names) > most:
            crowd = names[most - 1]
            crowds[crowd] = len(names) - most + 1
            place.update(dict.fromkeys(names[most - 1 :], crowd))
    return place, crowds


def _shown(name: str, named: Mapping[str, Any], crowds: Mapping[str, int], start: bool) -> Shown:
    node = named[name]
    if name in crowds:
        return Shown(name, node["kind"], f"{crowds[name]:,} more", "that hang on the same", start, crowds[name])
    title, line = card(node)
    return Shown(name, node["kind"], title, line, start)
