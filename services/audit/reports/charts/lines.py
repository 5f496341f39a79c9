"""Values over time, one line for each series: each window faintly, and what is typical of a month boldly."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from statistics import median
from typing import NamedTuple

from services.audit.reports.charts import svg
from services.audit.reports.charts.svg import LEFT, PALETTE, RIGHT, TOP, WIDTH, Point

HEIGHT, BOTTOM = 210.0, 186.0
BOLD_FROM = 40
"""A series of at least so many points gets a bold line of its monthly medians."""


class Mark(NamedTuple):
    """Something that happened, drawn across the chart."""

    at: datetime
    label: str


class Limit(NamedTuple):
    """A threshold or target, drawn along the chart."""

    value: float
    label: str


class _Scale(NamedTuple):
    start: datetime
    seconds: float
    low: float
    high: float

    def x(self, at: datetime) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * (at - self.start).total_seconds() / self.seconds

    def y(self, value: float) -> float:
        return BOTTOM - (BOTTOM - TOP) * (value - self.low) / (self.high - self.low)


def lines(
    label: str,
    series: Mapping[str, Sequence[Point]],
    *,
    limit: Limit | None = None,
    marks: Sequence[Mark] = (),
) -> str:
    """The chart; series without points are left out. Raises ValueError where there is no point at all."""
    drawn = {name: sorted(points) for name, points in series.items() if points}
    everything = [point for points in drawn.values() for point in points]
    if not everything:
        raise ValueError("a chart needs a point")
    values = [value for _, value in everything] + ([limit.value] if limit else [])
    steps = svg.ticks(min(values), max(values))
    start, end = min(everything)[0], max(everything)[0]
    scale = _Scale(start, max(1.0, (end - start).total_seconds()), steps[0], steps[-1])
    elements = [*svg.legend(drawn), *_axes(scale, steps, start, end)]
    elements += [part for mark in marks if start <= mark.at <= end for part in _mark(scale, mark)]
    for place, points in enumerate(drawn.values()):
        elements += _series(scale, points, PALETTE[place % len(PALETTE)])
    if limit:
        elements += _limit(scale, limit)
    return svg.drawing(HEIGHT, elements, label)


def read_as(series: Mapping[str, Sequence[Point]]) -> str:
    """What the lines of these series stand for, to go on with after what they measure."""
    bold = any(len(points) >= BOLD_FROM for points in series.values())
    return (
        "of each window (faint) and its monthly median (bold), by version." if bold else "of each window, by version."
    )


def _axes(scale: _Scale, steps: Sequence[float], start: datetime, end: datetime) -> list[str]:
    step = steps[1] - steps[0]
    parts = [svg.line(LEFT, scale.y(value), WIDTH - RIGHT, scale.y(value)) for value in steps]
    parts += [svg.text(LEFT - 6, scale.y(value) + 3.5, svg.tick_label(value, step), anchor="end") for value in steps]
    for at, words in svg.dates(start, end):
        parts += [
            svg.line(scale.x(at), BOTTOM, scale.x(at), BOTTOM + 4, svg.FAINT),
            svg.text(scale.x(at), BOTTOM + 16, words, anchor="end" if scale.x(at) > WIDTH - 30 else "middle"),
        ]
    return [*parts, svg.line(LEFT, BOTTOM, WIDTH - RIGHT, BOTTOM, svg.FAINT)]


def _series(scale: _Scale, points: Sequence[Point], colour: str) -> list[str]:
    places = [(scale.x(at), scale.y(value)) for at, value in points]
    if len(points) == 1:
        ((x, y),) = places
        return [f'<circle cx="{svg.f(x)}" cy="{svg.f(y)}" r="3" fill="{colour}"/>']
    if len(points) < BOLD_FROM:
        return [svg.path(places, colour, width=1.8)]
    months: dict[tuple[int, int], list[Point]] = {}
    for at, value in points:
        months.setdefault((at.year, at.month), []).append((at, value))
    typical = [
        (sum(scale.x(at) for at, _ in inside) / len(inside), scale.y(median(value for _, value in inside)))
        for inside in months.values()
    ]
    return [svg.path(places, colour, width=0.8, opacity=0.38), svg.path(typical, colour, width=2.2)]


def _mark(scale: _Scale, mark: Mark) -> list[str]:
    x = scale.x(mark.at)
    right = x > WIDTH * 0.8
    return [
        svg.line(x, TOP - 4, x, BOTTOM, svg.FAINT, width=0.8, dash="2 3"),
        svg.text(x - 4 if right else x + 4, TOP + 5, mark.label, anchor="end" if right else "start", size=10),
    ]


def _limit(scale: _Scale, limit: Limit) -> list[str]:
    y = scale.y(limit.value)
    return [
        svg.line(LEFT, y, WIDTH - RIGHT, y, svg.ALARM, width=1.1, dash="5 3"),
        svg.text(LEFT + 4, y - 4, limit.label, colour="#ffffff", size=10, halo=True),
        svg.text(LEFT + 4, y - 4, limit.label, colour=svg.ALARM, size=10),
    ]
