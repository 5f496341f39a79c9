"""Drift of a text or a truth value, from the counts of its categories."""

# pyright: reportUnknownMemberType=false

from collections.abc import Mapping

import numpy as np

from services.monitor.domain.categories import Categories
from services.monitor.domain.drift.found import FeatureDrift, Side, compared
from services.monitor.domain.figures import figure
from services.monitor.domain.statistics import Counts

NAMED_GROUPS = 50
"""The base's most frequent categories, each a group of its own; its others are one, and new ones another."""


def categorical(name: str, now: Categories, base: Categories) -> FeatureDrift | None:
    """All that is told of categories; None where a side has no rows."""
    groups, base_groups, new = category_groups(now, base)
    mine, its = Side(groups, now.known, now.missing), Side(base_groups, base.known, base.missing)
    if not mine.rows or not its.rows:
        return None
    return compared(
        name, "categorical", mine, its, new=None if new is None or not now.known else figure(new / now.known)
    )


def category_groups(now: Categories, base: Categories) -> tuple[Counts, Counts, int | None]:
    """(counts now, counts of the base, rows of categories new to the base) over the base's most frequent categories,
    its others, and those new to it. The rows are None where it cannot be told (see `_unsure`); what may be new counts
    as others then."""
    named, here = base.named, now.named
    ranked = _ranked(named)
    top = ranked[:NAMED_GROUPS]
    mine = [here.get(name, 0) for name in top]
    its = [named[name] for name in top]
    others = sum(here.get(name, 0) for name in ranked[NAMED_GROUPS:])
    unknown = now.known - sum(mine) - others
    unsure = unknown > 0 and _unsure(now, base)
    mine += [others + unknown, 0] if unsure else [others, unknown]
    its += [base.known - sum(its), 0]
    return np.array(mine, np.int64), np.array(its, np.int64), None if unsure else unknown


def _unsure(now: Categories, base: Categories) -> bool:
    """Whether rows of values that the base has no name for may be known to it all the same: it counted some without
    names, or one of its names is not found here, where some are without names."""
    return base.other > 0 or (now.other > 0 and not base.counts.keys() <= now.counts.keys() | now.declared.keys())


def top_of(base: Categories) -> list[str]:
    """The values that are groups of their own, in the groups' order."""
    return _ranked(base.named)[:NAMED_GROUPS]


def _ranked(named: Mapping[str, int]) -> list[str]:
    return sorted(named, key=lambda name: (-named[name], name))
