"""Ongoing monitoring: volume, drift and quality by window."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from services.audit.reports.charts import Mark, bars, heat, lines, read_as
from services.audit.reports.document import Block, Chart, Row, Section, Table, gap
from services.audit.reports.facts import Fact, Facts, by_month, ids, started, traffic_after
from services.audit.reports.sections import alarms
from services.audit.reports.sections.common import say
from services.audit.reports.words import count, instant, number

MONTHS, FEATURES, USUAL_LIMIT = 12, 20, 0.2
"""Months and features that the drift chart shows at most, and the limit where none was ever met."""

PREFERRED = ("auc", "r2", "mae", "rmse", "accuracy", "f1", "brier")
"""The first of these that windows measure is the one drawn."""


def monitoring(facts: Facts) -> Section:
    source = "SR 26-2, model validation and monitoring · SR 11-7 V.2 (ongoing monitoring, process verification)"
    windows = facts.windows
    if not windows:
        text = "a measured window of predictions; nothing tells how the model does in use."
        return Section("monitoring", "Ongoing monitoring", source, (gap(text, ids(facts.of("Deployed"))),))
    blocks = [_covered(windows), _volume(windows), *_drift(facts, windows), *quality_chart(facts, windows)]
    blocks += [monthly(windows), *alarms.blocks(facts)]
    return Section("monitoring", "Ongoing monitoring", source, tuple(blocks))


def versions_of(windows: Sequence[Fact]) -> list[int]:
    return sorted({fact.data["version"] for fact in windows})


def _covered(windows: Sequence[Fact]) -> Block:
    first, last = windows[0], windows[-1]
    predictions = sum(fact.data["predictions"] for fact in windows)
    text = (
        f"{count(len(windows), 'window')} from {first.data['window_start'][:10]} to {last.data['window_end'][:10]} "
        f"measured {count(predictions, 'prediction')}."
    )
    return say(text, *windows)


def _volume(windows: Sequence[Fact]) -> Block:
    months = sorted(by_month(windows))
    series: dict[str, list[float]] = {}
    for version in versions_of(windows):
        inside = by_month([fact for fact in windows if fact.data["version"] == version])
        series[f"version {version}"] = [
            float(sum(fact.data["predictions"] for fact in inside.get(month, []))) for month in months
        ]
    drawing = bars("Predictions by month and version", [short(month) for month in months], series)
    points = {
        name: [[month, value] for month, value in zip(months, amounts, strict=True)] for name, amounts in series.items()
    }
    return Chart(
        "Predictions by month", "Shadows and challengers count as they were asked.", drawing, points, ids(windows)
    )


def short(month: str) -> str:
    """`Apr ’13` of `2013-04`, which nobody takes for a day."""
    return datetime.strptime(month, "%Y-%m").strftime("%b ’%y")  # noqa: DTZ007 (no time of day is meant)


def _drift(facts: Facts, windows: Sequence[Fact]) -> list[Block]:
    """The highest PSI of each month and feature, over all versions."""
    measured = [fact for fact in windows if fact.data["drift"]]
    if not measured:
        return [gap("drift of any feature; no version came with a reference.", ids(windows))]
    values: dict[tuple[str, str], float] = {}
    for fact in measured:
        for one in fact.data["drift"]:
            key = (one["feature"], fact.data["window_start"][:7])
            values[key] = max(values.get(key, 0.0), one["psi"])
    found = facts.of("DriftDetected")
    return [_drift_chart(values, found, ids(measured)), *_alarms(found)]


def _drift_chart(values: Mapping[tuple[str, str], float], found: Sequence[Fact], events: tuple[str, ...]) -> Block:
    months = sorted({month for _, month in values})[-MONTHS:]
    highest: dict[str, float] = {}
    for (name, _), value in values.items():
        highest[name] = max(highest.get(name, 0.0), value)
    names = sorted(highest, key=lambda name: (-highest[name], name))[:FEATURES]
    limits = [float(fact.data["threshold"]) for fact in found if fact.data["statistic"] == "psi"]
    limit = limits[-1] if limits else USUAL_LIMIT
    inside = [(name, month) for name in names for month in months if (name, month) in values]
    cells = {(name, short(month)): values[name, month] for name, month in inside}
    drawing = heat("Highest PSI of each feature by month", names, [short(month) for month in months], cells, limit)
    caption = (
        "Population stability index (no unit) against the version's reference, the highest window of each month; "
        f"coloured above {number(limit)}."
    )
    rest = len(highest) - len(names)
    caption += f" {count(rest, 'feature')} of lower drift not drawn." if rest else ""
    points = {name: [[month, values[name, month]] for own, month in inside if own == name] for name in names}
    return Chart("Drift of the inputs", caption, drawing, points, events)


def _alarms(found: Sequence[Fact]) -> list[Block]:
    if not found:
        return [say("No drift beyond the threshold was detected.")]
    features: dict[str, int] = {}
    for fact in found:
        name = feature_named(fact)
        features[name] = features.get(name, 0) + 1
    ranked = sorted(features.items(), key=lambda item: (-item[1], item[0]))
    named = ", ".join(f"{name} {amount:,}" for name, amount in ranked[:12])
    return [say(f"Drift was detected {count(len(found), 'time')}, by feature: {named}.", *found)]


def feature_named(drift: Fact) -> str:
    """The feature that drifted; `*` means all of them together, told apart by a classifier."""
    return "all features together" if drift.data["feature"] == "*" else drift.data["feature"]


def main_metric(windows: Sequence[Fact]) -> str | None:
    """The metric that stands for quality; None where no window measured any."""
    have = {name for fact in windows for name in fact.data["quality"]}
    return next((name for name in PREFERRED if name in have), min(have, default=None))


def changes(facts: Facts) -> list[Mark]:
    """When another version became champion."""
    marks: list[Mark] = []
    for said in facts.deployments.values():
        before = None
        for fact in said:
            champion = None if fact.type == "Retired" else traffic_after(fact)["champion"]
            if champion != before and before is not None:
                marks.append(Mark(fact.time, "retired" if champion is None else f"version {champion} champion"))
            before = champion
    return marks


def quality_chart(facts: Facts, windows: Sequence[Fact]) -> list[Block]:
    metric = main_metric(windows)
    if metric is None:
        return [gap("measured quality; no outcome has met a prediction.", ids(windows))]
    series, used = series_of(windows, lambda fact: fact.data["quality"].get(metric))
    drawing = lines(f"{metric} by window and version", series, marks=changes(facts))
    caption = f"{metric} {read_as(series)}"
    return [Chart(f"Quality: {metric}", caption, drawing, plotted(series), ids(used))]


def series_of(windows: Sequence[Fact], value) -> tuple[dict[str, list[tuple[datetime, float]]], list[Fact]]:  # type: ignore[no-untyped-def]
    """One series for each version of what `value` finds in a window, and the windows that it found it in."""
    series: dict[str, list[tuple[datetime, float]]] = {}
    used: list[Fact] = []
    for fact in windows:
        found = value(fact)
        if found is not None:
            series.setdefault(f"version {fact.data['version']}", []).append((started(fact), float(found)))
            used.append(fact)
    return dict(sorted(series.items())), used


def plotted(series: Mapping[str, Sequence[tuple[datetime, float]]]) -> dict[str, list[list[object]]]:
    return {name: [[instant(at), value] for at, value in points] for name, points in series.items()}


def monthly(windows: Sequence[Fact]) -> Block:
    """What each month measured, by version."""
    metric = main_metric(windows)
    rows: list[Row] = []
    for month, inside in sorted(by_month(windows).items()):
        for version in versions_of(inside):
            own = [fact for fact in inside if fact.data["version"] == version]
            rows.append(Row((month, str(version), *_month(own, metric)), ids(own)))
    columns = (
        "Month",
        "Version",
        "Windows",
        "Predictions",
        "Outcomes",
        f"{metric or 'Quality'}, low to high",
        "Worst drift",
    )
    return Table("By month", columns, tuple(rows), wide=(0.8, 0.7, 0.8, 1.0, 0.9, 1.5, 1.9))


def _month(windows: Sequence[Fact], metric: str | None) -> tuple[str, ...]:
    values = [fact.data["quality"][metric] for fact in windows if metric in fact.data["quality"]]
    between = f"{number(min(values))} to {number(max(values))}" if values else "–"
    drifts = [(one["psi"], one["feature"]) for fact in windows for one in fact.data["drift"]]
    worst = max(drifts, default=None)
    return (
        str(len(windows)),
        number(sum(fact.data["predictions"] for fact in windows)),
        number(sum(fact.data["outcomes"] for fact in windows)),
        between,
        f"{worst[1]} {number(worst[0])}" if worst else "–",
    )
