"""Amounts by month, one bar for each series side by side."""

from collections.abc import Mapping, Sequence

from services.audit.reports.charts import svg
from services.audit.reports.charts.svg import LEFT, PALETTE, RIGHT, TOP, WIDTH

HEIGHT, BOTTOM = 150.0, 128.0
GAP = 0.3
"""Share of a month's width that stays empty."""


def bars(label: str, months: Sequence[str], series: Mapping[str, Sequence[float]]) -> str:
    """The chart; each series has one amount for each month. Raises ValueError where there is no month."""
    if not months or not series:
        raise ValueError("a chart needs a month")
    steps = svg.ticks(0.0, max(1.0, *(amount for amounts in series.values() for amount in amounts)), 3)
    width = (WIDTH - LEFT - RIGHT) / len(months)
    bar = width * (1 - GAP) / len(series)
    elements = svg.legend(series)
    for value in steps:
        y = _y(value, steps[-1])
        elements.append(svg.line(LEFT, y, WIDTH - RIGHT, y))
        elements.append(svg.text(LEFT - 6, y + 3.5, svg.tick_label(value, steps[1] - steps[0]), anchor="end"))
    every = max(1, -(-len(months) // 12))
    for place, month in enumerate(months):
        left = LEFT + width * place
        if place % every == 0:
            elements.append(svg.text(left + width / 2, BOTTOM + 16, month, anchor="middle"))
        for number, amounts in enumerate(series.values()):
            y = _y(amounts[place], steps[-1])
            x = left + width * GAP / 2 + bar * number
            elements.append(svg.box(x, y, max(0.5, bar - 1), BOTTOM - y, PALETTE[number % len(PALETTE)]))
    elements.append(svg.line(LEFT, BOTTOM, WIDTH - RIGHT, BOTTOM, svg.FAINT))
    return svg.drawing(HEIGHT, elements, label)


def _y(value: float, high: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * value / high
