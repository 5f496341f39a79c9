"""Where the cards of a picture lie: a layered drawing, origins on the left.

Source: Sugiyama, Tagawa, Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981): break
cycles, lay in layers, order by barycentres, give coordinates. Layers are those of the longest path; an edge over
several layers bends at a place of its own in each between.
"""

import itertools
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

from services.audit.drawing.picture import Picture

SWEEPS = 8
PASSES = 6

Name = Hashable
Edge = tuple[Name, Name]


@dataclass(frozen=True, slots=True)
class Layout:
    """`layer` and `y` (the middle, in units of `height` given) of every node; `bends`: of an edge that spans layers the
    (layer, y) between its ends, from `src` to `dst`."""

    layer: Mapping[Name, int]
    y: Mapping[Name, float]
    bends: Mapping[Edge, Sequence[tuple[int, float]]]


def layout(picture: Picture, height: float, gap: float) -> Layout:
    """Cards of this height, `gap` apart at least."""
    names = [node.name for node in picture.nodes]
    edges = list(dict.fromkeys((arrow.src, arrow.dst) for arrow in picture.arrows))
    forward = _without_cycles(names, edges)
    layer: dict[Name, int] = _layers(names, forward)
    chains = {edge: _chain(edge, layer) for edge in forward}
    for edge, chain in chains.items():
        for step, place in enumerate(chain[1:-1], 1):
            layer[place] = layer[edge[0]] - step
    links = [pair for chain in chains.values() for pair in itertools.pairwise(chain)]
    rows = _ordered(layer, links)
    heights = {name: height if name in set(names) else 0.0 for name in layer}
    y = _coordinates(rows, links, heights, gap)
    bends: dict[Edge, list[tuple[int, float]]] = {}
    for (src, dst), chain in chains.items():
        between = [(layer[place], y[place]) for place in chain[1:-1]]
        bends[src, dst] = between
        bends[dst, src] = between[::-1]
    return Layout(layer, y, bends)


def _without_cycles(names: Sequence[Name], edges: Sequence[Edge]) -> list[Edge]:
    """The edges, those that close a cycle (found depth first) turned round."""
    out: dict[Name, list[Name]] = {name: [] for name in names}
    for src, dst in edges:
        out[src].append(dst)
    state: dict[Name, int] = {}
    turned: set[Edge] = set()
    for root in names:
        stack = [(root, iter(out[root]))] if root not in state else []
        state.setdefault(root, 1)
        while stack:
            node, rest = stack[-1]
            following = next(rest, None)
            if following is None:
                state[node] = 2
                stack.pop()
            elif state.get(following) == 1:
                turned.add((node, following))
            elif following not in state:
                state[following] = 1
                stack.append((following, iter(out[following])))
    return list(dict.fromkeys((dst, src) if (src, dst) in turned else (src, dst) for src, dst in edges))


def _layers(names: Sequence[Name], edges: Sequence[Edge]) -> dict[Name, int]:
    """Layer 0 holds what came from nothing else; every other node lies one behind the last of what it came from, and
    origins as near to what came of them as they can."""
    below: dict[Name, list[Name]] = {name: [] for name in names}
    above: dict[Name, list[Name]] = {name: [] for name in names}
    for src, dst in edges:
        below[src].append(dst)
        above[dst].append(src)
    layer: dict[Name, int] = {}
    waiting = {name: len(below[name]) for name in names}
    ready = [name for name in names if not waiting[name]]
    order: list[Name] = []
    while ready:
        node = ready.pop()
        order.append(node)
        layer[node] = max((layer[one] + 1 for one in below[node]), default=0)
        for one in above[node]:
            waiting[one] -= 1
            if not waiting[one]:
                ready.append(one)
    for node in reversed(order):
        if above[node]:
            layer[node] = min(layer[one] for one in above[node]) - 1
    return layer


def _chain(edge: Edge, layer: Mapping[Name, int]) -> list[Name]:
    src, dst = edge
    return [src, *((src, dst, step) for step in range(1, layer[src] - layer[dst])), dst]


def _ordered(layer: Mapping[Name, int], links: Sequence[Edge]) -> list[list[Name]]:
    """The layers, each ordered by the barycentres of the neighbours in the layer before, to and fro."""
    rows: list[list[Name]] = [[] for _ in range(max(layer.values(), default=-1) + 1)]
    for name, place in layer.items():
        rows[place].append(name)
    left: dict[Name, list[Name]] = {name: [] for name in layer}
    right: dict[Name, list[Name]] = {name: [] for name in layer}
    for src, dst in links:
        left[src].append(dst)
        right[dst].append(src)
    best, fewest = [list(row) for row in rows], _crossings(rows, right)
    for sweep in range(SWEEPS):
        near = left if sweep % 2 == 0 else right
        place = {name: number for row in rows for number, name in enumerate(row)}
        for row in rows if sweep % 2 == 0 else reversed(rows):
            middle = {
                name: sum(place[one] for one in near[name]) / len(near[name]) if near[name] else float(place[name])
                for name in row
            }
            row.sort(key=lambda name: middle[name])
            place.update({name: number for number, name in enumerate(row)})
        crossings = _crossings(rows, right)
        if crossings < fewest:
            best, fewest = [list(row) for row in rows], crossings
    return best


def _crossings(rows: Sequence[Sequence[Name]], right: Mapping[Name, Sequence[Name]]) -> int:
    """Pairs of links between neighbouring layers that cross."""
    place = {name: number for row in rows for number, name in enumerate(row)}
    total = 0
    for row in rows:
        ends: list[int] = []
        for name in row:
            mine = sorted(place[one] for one in right[name])
            total += sum(end > one for one in mine for end in ends)
            ends += mine
    return total


def _coordinates(
    rows: Sequence[Sequence[Name]], links: Sequence[Edge], heights: Mapping[Name, float], gap: float
) -> dict[Name, float]:
    """Heights at which nodes lie level with the middle of their neighbours, as far as their order lets them."""
    near: dict[Name, list[Name]] = {name: [] for row in rows for name in row}
    for src, dst in links:
        near[src].append(dst)
        near[dst].append(src)
    y: dict[Name, float] = {}
    for row in rows:
        at = 0.0
        for name in row:
            y[name] = at + heights[name] / 2
            at += heights[name] + gap
    for turn in range(PASSES):
        for row in rows if turn % 2 == 0 else reversed(rows):
            wanted = [sum(y[one] for one in near[name]) / len(near[name]) if near[name] else y[name] for name in row]
            y.update(zip(row, _apart(row, wanted, heights, gap), strict=True))
    lowest = min((y[name] - heights[name] / 2 for name in y), default=0.0)
    return {name: value - lowest for name, value in y.items()}


def _apart(row: Sequence[Name], wanted: Sequence[float], heights: Mapping[Name, float], gap: float) -> list[float]:
    """The places nearest to those wanted (least squares) that keep order and distance: pool adjacent violators."""
    offsets, at = list[float](), 0.0
    for number, name in enumerate(row):
        at += heights[name] / 2 + (gap + heights[row[number - 1]] / 2 if number else 0.0)
        offsets.append(at)
    blocks: list[tuple[float, int]] = []
    for value, offset in zip(wanted, offsets, strict=True):
        total, count = value - offset, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    placed = [total / count for total, count in blocks for _ in range(count)]
    return [start + offset for start, offset in zip(placed, offsets, strict=True)]
