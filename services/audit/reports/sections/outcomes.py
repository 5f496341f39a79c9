"""Outcomes analysis: what came true beside what was predicted, in statistics and in the goal's own figures."""

from collections.abc import Sequence
from statistics import median

from services.audit.reports.charts import lines, read_as
from services.audit.reports.charts.lines import Limit
from services.audit.reports.document import Block, Chart, Row, Section, Table, gap
from services.audit.reports.facts import Fact, Facts, ids
from services.audit.reports.sections.common import say
from services.audit.reports.sections.monitoring import changes, plotted, series_of, versions_of
from services.audit.reports.words import count, number, percent

_COUNTS = frozenset({"true_positives", "false_positives", "true_negatives", "false_negatives", "threshold"})


def outcomes(facts: Facts) -> Section:
    source = "SR 26-2, model validation and monitoring · SR 11-7 V.3 (outcomes analysis, back-testing)"
    windows = [fact for fact in facts.windows if fact.data["outcomes"]]
    if not windows:
        return Section(
            "outcomes", "Outcomes analysis", source, (gap("an outcome of any prediction.", ids(facts.windows)),)
        )
    blocks = [*_coverage(facts), quality_table(windows), *_confusion(windows), *_kpis(facts, windows)]
    return Section("outcomes", "Outcomes analysis", source, tuple(blocks))


def _coverage(facts: Facts) -> list[Block]:
    found: list[Block] = []
    for version in versions_of(facts.windows):
        own = [fact for fact in facts.windows if fact.data["version"] == version]
        predictions = sum(fact.data["predictions"] for fact in own)
        known = sum(fact.data["outcomes"] for fact in own)
        text = (
            f"Of {count(predictions, 'prediction')} of version {version}, {known:,} ({percent(known, predictions)}) "
            "met "
            f"their outcome; {predictions - known:,} have none on record."
        )
        found.append(say(text, *own))
    return found


def quality_table(windows: Sequence[Fact]) -> Block:
    """Each metric's range over the windows; nothing is averaged that has no average."""
    rows: list[Row] = []
    for version in versions_of(windows):
        own = [fact for fact in windows if fact.data["version"] == version]
        for metric in sorted({name for fact in own for name in fact.data["quality"]} - _COUNTS):
            with_it = [fact for fact in own if fact.data["quality"].get(metric) is not None]
            values = [fact.data["quality"][metric] for fact in with_it]
            if not values:
                continue
            latest = interval(values[-1], (with_it[-1].data.get("intervals") or {}).get(metric))
            figures = (number(min(values)), number(median(values)), number(max(values)), latest)
            rows.append(Row((metric, str(version), str(len(values)), *figures), ids(with_it)))
    if not rows:
        return gap("measured quality of any window.", ids(windows))
    columns = ("Metric", "Version", "Windows", "Lowest", "Median", "Highest", "Latest [95 %]")
    return Table("Quality over the windows", columns, tuple(rows), wide=(1.6, 0.7, 0.8, 0.9, 0.9, 0.9, 1.7))


def interval(value: float, bounds: Sequence[float] | None) -> str:
    """A figure with its 95 % interval, where one was stated."""
    return f"{number(value)} [{number(bounds[0])}, {number(bounds[1])}]" if bounds else number(value)


def _confusion(windows: Sequence[Fact]) -> list[Block]:
    names = ("true_positives", "false_positives", "false_negatives", "true_negatives")
    rows: list[Row] = []
    for version in versions_of(windows):
        own = [f for f in windows if f.data["version"] == version and all(name in f.data["quality"] for name in names)]
        for threshold in sorted({fact.data["quality"].get("threshold", 0.5) for fact in own}):
            same = [fact for fact in own if fact.data["quality"].get("threshold", 0.5) == threshold]
            sums = [sum(fact.data["quality"][name] for fact in same) for name in names]
            rows.append(Row((str(version), number(threshold), *map(number, sums)), ids(same)))
    columns = ("Version", "Threshold", "True positives", "False positives", "False negatives", "True negatives")
    return [Table("Confusion, summed over the windows", columns, tuple(rows))] if rows else []


def _kpis(facts: Facts, windows: Sequence[Fact]) -> list[Block]:
    found: list[Block] = []
    for definition in facts.kpis:
        found += _kpi(facts, definition, windows)
    return found or [gap("a KPI measured on outcomes.", ids(windows))]


def _kpi(facts: Facts, definition: Fact, windows: Sequence[Fact]) -> list[Block]:
    name, unit, target = definition.data["kpi"], definition.data["unit"], definition.data["target"]

    def value(fact: Fact) -> float | None:
        return next((one["per_case"] for one in fact.data["kpis"] if one["kpi"] == name), None)

    series, used = series_of(windows, value)
    if not used:
        return [gap(f"a measured value of KPI {name}.", ids([definition]))]
    limit = None if target is None else Limit(float(target), f"target {number(target)} {unit}")
    drawing = lines(f"{name} by window and version", series, limit=limit, marks=changes(facts))
    caption = f"{unit} per case {read_as(series)}"
    chart = Chart(f"KPI: {name}", caption, drawing, plotted(series), ids(used))
    return [chart, kpi_table(definition, used), *_breaches(facts, name, target, unit)]


def kpi_table(definition: Fact, windows: Sequence[Fact]) -> Block:
    """Totals by version: the sum over all cases, which is exact, and the value per case."""
    name, unit, target = definition.data["kpi"], definition.data["unit"], definition.data["target"]
    rows: list[Row] = []
    for version in versions_of(windows):
        own = [fact for fact in windows if fact.data["version"] == version]
        measured = [one for fact in own for one in fact.data["kpis"] if one["kpi"] == name]
        total, cases = sum(one["total"] for one in measured), sum(one["cases"] for one in measured)
        each = total / cases if cases else None
        cells = (
            str(version),
            number(cases),
            number(total),
            number(each),
            "no target" if target is None else number(target),
        )
        rows.append(Row((*cells, _met(definition, each)), (*ids(own), definition.id)))
    columns = ("Version", "Cases", f"Total ({unit})", f"Per case ({unit})", f"Target ({unit})", "Target met")
    return Table(f"KPI {name} over all windows", columns, tuple(rows))


def _met(definition: Fact, value: float | None) -> str:
    target = definition.data["target"]
    if target is None or value is None:
        return "–"
    return "yes" if (value <= target if definition.data["direction"] == "lower" else value >= target) else "NO"


def _breaches(facts: Facts, kpi: str, target: float | None, unit: str) -> list[Block]:
    found = facts.of("KpiBreached", where=lambda data: data["kpi"] == kpi)
    if not found:
        return [] if target is None else [say(f"No window missed the target of {kpi}.")]
    worst = max(found, key=lambda fact: abs(fact.data["value"] - fact.data["target"]))
    text = (
        f"{count(len(found), 'window')} missed the target of {kpi}; the farthest was {number(worst.data['value'])} "
        f"{unit} "
        f"per case in the window from {worst.data['window_start'][:10]}."
    )
    return [say(text, *found)]
