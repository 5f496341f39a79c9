"""Whether the data that came are what the version was made for: faults, ranges, missing and new values, constant and
repeated inputs, and how much came."""

# pyright: reportUnknownMemberType=false

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from services.monitor.domain.bins import Bins
from services.monitor.domain.categories import Categories
from services.monitor.domain.drift.categories import category_groups
from services.monitor.domain.figures import figure
from services.monitor.domain.refusals import Refused
from services.monitor.domain.sketch import Numbers, Sketch

MIN_ROWS = 100
"""Of fewer rows nothing but faults is said."""

LEAST_WINDOWS = 3
SPREADS = 4.0


@dataclass(frozen=True, slots=True)
class Check:
    """One check of one window. `value` against `threshold`: a share of rows, or, of `traffic`, how many times as much.

    `check`: schema, refused, range, missing, new_categories, constant, duplicates or traffic; `subject`: the feature,
    or for schema and refused `KIND:COLUMN`, or nothing.
    """

    check: str
    subject: str
    value: float
    threshold: float
    breached: bool


@dataclass(frozen=True, slots=True)
class Limits:
    """The thresholds; `missing`, `duplicates`: by how much more than in the reference."""

    outside: float = 0.05
    missing: float = 0.05
    new_categories: float = 0.05
    duplicates: float = 0.5
    traffic: float = 3.0


def checks(
    sketch: Sketch, reference: Sketch, bins: Bins, limits: Limits, before: Sequence[int] = (), rows: int | None = None
) -> list[Check]:
    """The checks that found anything. `before`: rows of the deployment in the same hours of windows before; `rows`: in
    this one, if they are not those of the sketch alone."""
    found = [
        Check("schema", fault, figure(wrong / max(sketch.predictions, wrong)), 0.0, True)
        for fault, wrong in sorted(sketch.faults.items())
    ]
    if sketch.predictions >= MIN_ROWS:
        found += _numeric(sketch.features, reference.features, bins, limits)
        found += _categorical(sketch, reference, bins, limits)
        found += _duplicates(sketch, reference, limits)
    return found + traffic(sketch.predictions if rows is None else rows, before, limits.traffic)


def refusals(refused: Refused, taken: int) -> list[Check]:
    """What intake refused, by reason: the share of all rows that came, taken or not, over a range of windows."""
    came = refused.rows + taken
    return [
        Check("refused", reason, figure(rows / came), 0.0, True) for reason, rows in sorted(refused.reasons.items())
    ]


def traffic(rows: int, before: Sequence[int], times: float) -> list[Check]:
    """How the rows compare with the median of the same hours before: breached at `times` as many or 1/`times`, and
    beyond SPREADS median absolute deviations (scaled to a standard deviation; at least that of a Poisson count)."""
    usual = median(before) if len(before) >= LEAST_WINDOWS else 0
    if not usual:
        return []
    spread = max(1.4826 * median(abs(one - usual) for one in before), usual**0.5)
    ratio = rows / usual
    breached = (ratio >= times or ratio <= 1 / times) and abs(rows - usual) > SPREADS * spread
    return [Check("traffic", "", figure(ratio), times if ratio >= 1 else figure(1 / times), breached)]


def _numeric(now: Numbers, base: Numbers, bins: Bins, limits: Limits) -> list[Check]:
    found: list[Check] = []
    places = {name: place for place, name in enumerate(base.names)}
    for place, name in enumerate(now.names):
        count = int(now.cells[place].sum())
        rows = count + int(now.missing[place])
        there = places.get(name)
        usual = 0.0
        if there is not None:
            known = int(base.cells[there].sum())
            usual = int(base.missing[there]) / max(known + int(base.missing[there]), 1)
        found += _missing(name, int(now.missing[place]), rows, usual, limits)
        if name in bins and count and now.outside[place]:
            share = figure(int(now.outside[place]) / count)
            found.append(Check("range", name, share, limits.outside, share >= limits.outside))
        varied = there is None or base.low[there] < base.high[there]
        if count >= MIN_ROWS and now.low[place] == now.high[place] and varied:
            found.append(Check("constant", name, 1.0, 1.0, True))
    return found


def _categorical(sketch: Sketch, reference: Sketch, bins: Bins, limits: Limits) -> list[Check]:
    found: list[Check] = []
    for name, now in sorted(sketch.categories.items()):
        base = reference.categories.get(name)
        usual = base.missing / max(base.known + base.missing, 1) if base is not None else 0.0
        found += _missing(name, now.missing, now.known + now.missing, usual, limits)
        new = category_groups(now, base or Categories())[-1] if name in bins and bins[name].declared else None
        if new:
            share = figure(new / now.known)
            found.append(Check("new_categories", name, share, limits.new_categories, share >= limits.new_categories))
        alone = len(now.declared) + len(now.counts) == 1 and not now.other
        varied = base is None or len(base.declared) + len(base.counts) > 1
        if alone and now.known >= MIN_ROWS and varied:
            found.append(Check("constant", name, 1.0, 1.0, True))
    return found


def _missing(name: str, absent: int, rows: int, usual: float, limits: Limits) -> list[Check]:
    if not absent:
        return []
    share = absent / rows
    at = figure(usual + limits.missing)
    return [Check("missing", name, figure(share), at, share >= at)]


def _duplicates(sketch: Sketch, reference: Sketch, limits: Limits) -> list[Check]:
    """Rows whose features are those of an earlier row, as the sample tells; many are usual where few values are."""
    share = figure(sketch.rows.repeated())
    at = figure(min(reference.rows.repeated() + limits.duplicates, 1.0))
    return [Check("duplicates", "", share, at, share >= at)] if share else []


def new_values(sketch: Sketch, name: str, base: Categories, most: int = 5) -> list[tuple[str, int]]:
    """The most frequent categories that the base does not name, with their rows (an upper bound where they were too
    many)."""
    found = sketch.categories[name].named | sketch.unnamed(name)
    new = [(value, rows) for value, rows in found.items() if value not in base.declared and value not in base.counts]
    return sorted(new, key=lambda pair: (-pair[1], pair[0]))[:most]
