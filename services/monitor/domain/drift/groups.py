"""The groups that PSI, the Jensen-Shannon distance and chi-square are taken over: with them anyone can compute the
figures again, and draw them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from services.monitor.domain.bins import Bins
from services.monitor.domain.drift.categories import category_groups, top_of
from services.monitor.domain.drift.numbers import Column, number_groups, numbers_of
from services.monitor.domain.figures import figure
from services.monitor.domain.sketch import Sketch

OTHERS, NEW, MISSING = "others", "new", "missing"


@dataclass(frozen=True, slots=True)
class Group:
    """Rows of one group. A number's lie in [`low`, `high`), None: without bound; a category's are named `value`, and
    `rest` says which of those without a name they are. `base_rows` is no whole number where the base was counted in
    other cells."""

    rows: int
    base_rows: float
    low: float | None = None
    high: float | None = None
    value: str | None = None
    rest: str | None = None


def groups(
    now: Sketch, bins: Bins, base: Sketch, base_bins: Bins, outputs: bool = False
) -> dict[str, tuple[Group, ...]]:
    """The groups of every feature that both have, by name as in `drift`."""
    found = {name: _of_number(*sides) for name, *sides in numbers_of(now.features, bins, base.features, base_bins)}
    for name in now.categories.keys() & base.categories.keys():
        mine, its = now.categories[name], base.categories[name]
        counts, base_counts, _ = category_groups(mine, its)
        rows = list(zip(counts.tolist(), base_counts.tolist(), strict=True))
        named = [Group(*each, value=value) for value, each in zip(top_of(its), rows[:-2], strict=True)]
        named += [Group(*each, rest=rest) for rest, each in zip((OTHERS, NEW), rows[-2:], strict=True)]
        found[name] = (*named, Group(mine.missing, its.missing, rest=MISSING))
    if outputs:
        found |= {
            f"output.{name}": _of_number(*sides) for name, *sides in numbers_of(now.outputs, None, base.outputs, None)
        }
    return found


def _of_number(now: Column, base: Column) -> tuple[Group, ...]:
    starts, counts, base_counts = number_groups(now, base)
    edges: Sequence[float] = now.grid.edges.tolist()
    ends = [*starts[1:], len(edges) - 1]
    rows = zip(starts, ends, counts.tolist(), base_counts.tolist(), strict=True)
    told = [
        Group(count, figure(base_count), _finite(edges[start]), _finite(edges[end]))
        for start, end, count, base_count in rows
    ]
    return (*told, Group(now.missing, base.missing, rest=MISSING))


def _finite(edge: float) -> float | None:
    return edge if math.isfinite(edge) else None
