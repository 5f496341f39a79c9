"""Drift of each feature of a window against a base: the version's reference, another window, or the champion's.

Effect and chance are told apart: a feature has drifted where a distance reaches its threshold and, over all features
together, chance does not explain it (Benjamini-Hochberg, see `statistics.adjusted`).
"""

from dataclasses import dataclass, replace

from services.monitor.domain.bins import Bins
from services.monitor.domain.drift.categories import categorical
from services.monitor.domain.drift.found import FeatureDrift, Rule
from services.monitor.domain.drift.groups import Group, groups
from services.monitor.domain.drift.numbers import numbers_of, numeric
from services.monitor.domain.figures import figure
from services.monitor.domain.sketch import Sketch
from services.monitor.domain.statistics import adjusted

__all__ = ["Base", "FeatureDrift", "Group", "Rule", "drift", "groups"]


@dataclass(frozen=True, slots=True)
class Base:
    """What a window is compared with, and how it was counted."""

    sketch: Sketch
    bins: Bins


def drift(now: Sketch, bins: Bins, base: Base, outputs: bool = False) -> list[FeatureDrift]:
    """Every feature that both sides have rows of, by name; with `outputs` the number outputs, too, as `output.NAME`."""
    same = base.bins is bins
    found = [
        numeric(name, *one)
        for name, *one in numbers_of(now.features, bins, base.sketch.features, bins if same else base.bins)
    ]
    found += [
        categorical(name, now.categories[name], base.sketch.categories[name])
        for name in now.categories.keys() & base.sketch.categories.keys()
    ]
    if outputs:
        found += [
            numeric(f"output.{name}", *one) for name, *one in numbers_of(now.outputs, None, base.sketch.outputs, None)
        ]
    known = sorted((one for one in found if one is not None), key=lambda one: one.feature)
    values = adjusted([one.p_value for one in known])
    return [replace(one, adjusted_p_value=figure(value)) for one, value in zip(known, values, strict=True)]
