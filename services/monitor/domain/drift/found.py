"""What drift of one feature is told by, and when it is drift."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from services.monitor.domain.bins import Kind
from services.monitor.domain.figures import figure
from services.monitor.domain.statistics import Counts, chi_square, jensen_shannon, psi

MIN_ROWS = 100
"""Of fewer rows nothing is said to have drifted."""


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature's distances. `*_error`: how far the figure may be from that of the values themselves.

    `wasserstein` in the feature's unit, `wasserstein_normed` in standard deviations of the base. `new`: share of the
    known rows whose category the base has not; None also where too many values to name leave it open. `p_value`: that
    of the test of this feature alone; `adjusted_p_value`: over all features compared. None: not of this kind, or not
    defined.
    """

    feature: str
    kind: Kind
    psi: float
    rows: int
    base_rows: int = 0
    jensen_shannon: float = 0.0
    ks: float | None = None
    ks_error: float | None = None
    wasserstein: float | None = None
    wasserstein_error: float | None = None
    wasserstein_normed: float | None = None
    chi_square: float = 0.0
    degrees: int = 0
    p_value: float = 1.0
    adjusted_p_value: float = 1.0
    missing: float = 0.0
    base_missing: float = 0.0
    new: float | None = None


@dataclass(frozen=True, slots=True)
class Rule:
    """When a feature has drifted: any distance at or over its threshold, and an adjusted p-value of at most `level`."""

    thresholds: Mapping[str, float] = field(default_factory=lambda: {"psi": 0.2})
    level: float = 0.01

    def reached(self, one: FeatureDrift) -> tuple[str, float, float] | None:
        """(statistic, value, threshold) of the first distance that tells of drift; None where there is no drift."""
        if one.rows < MIN_ROWS or one.adjusted_p_value > self.level:
            return None
        for name, threshold in self.thresholds.items():
            found: float | None = getattr(one, name)
            if found is not None and found >= threshold:
                return name, found, threshold
        return None


@dataclass(frozen=True, slots=True)
class Side:
    """Counts of a feature's `groups` on one side, whole or drawn out; rows in which it is `known`, and `missing`."""

    groups: Counts
    known: int
    missing: int

    @property
    def rows(self) -> int:
        return self.known + self.missing


def compared(
    feature: str, kind: Kind, now: Side, base: Side, p_value: float | None = None, new: float | None = None
) -> FeatureDrift:
    """What counts of groups tell, whatever the feature's kind; missing ones are a group of their own. Each side has
    rows. `p_value`: of the test that stands for the feature; None: that of chi-square."""
    mine, its = np.append(now.groups, now.missing), np.append(base.groups, base.missing)
    test = chi_square(mine, its)
    return FeatureDrift(
        feature,
        kind,
        figure(psi(mine, its)),
        now.rows,
        base.rows,
        figure(jensen_shannon(mine, its)),
        chi_square=figure(test.statistic),
        degrees=test.degrees,
        p_value=figure(test.p_value if p_value is None else p_value),
        missing=figure(now.missing / now.rows),
        base_missing=figure(base.missing / base.rows),
        new=new,
    )
