"""A table of colours: one row for each name, one column for each month, darker where the value is higher."""

from collections.abc import Mapping, Sequence
from math import log

from services.audit.reports.charts import svg
from services.audit.reports.charts.svg import RIGHT, WIDTH
from services.audit.reports.words import number

NAMES, CELL, TOP = 128.0, 19.0, 22.0
FULL = 40.0
_BELOW, _ABOVE, _FAR = (238, 242, 247), (246, 196, 170), (164, 38, 44)


def heat(
    label: str, rows: Sequence[str], months: Sequence[str], values: Mapping[tuple[str, str], float], limit: float
) -> str:
    """The chart. Cells up to `limit` are pale; beyond it they darken with the logarithm, fully at FULL times `limit`;
    each bears its value. Raises ValueError where there is no row or month."""
    if not rows or not months:
        raise ValueError("a chart needs a row and a month")
    width = (WIDTH - NAMES - RIGHT) / len(months)
    elements = [
        svg.text(NAMES + width * (place + 0.5), TOP - 7, month, anchor="middle") for place, month in enumerate(months)
    ]
    for line, name in enumerate(rows):
        y = TOP + CELL * line
        elements.append(svg.text(NAMES - 8, y + CELL / 2 + 3.5, _short(name), anchor="end", colour=svg.INK))
        for place, month in enumerate(months):
            elements += _cell(NAMES + width * place, y, width, values.get((name, month)), limit)
    return svg.drawing(TOP + CELL * len(rows) + 4, elements, label)


def _cell(x: float, y: float, width: float, value: float | None, limit: float) -> list[str]:
    if value is None:
        return []
    share = min(1.0, log(value / limit) / log(FULL)) if value > limit else 0.0
    colour = _BELOW if value <= limit else tuple(round(a + (b - a) * share) for a, b in zip(_ABOVE, _FAR, strict=True))
    ink = "#ffffff" if share > 0.55 else svg.INK
    cell = svg.box(x + 0.5, y + 0.5, width - 1, CELL - 1, "#{:02x}{:02x}{:02x}".format(*colour))
    if width < 26:
        return [cell]
    return [cell, svg.text(x + width / 2, y + CELL / 2 + 3.5, _value(value), anchor="middle", colour=ink, size=9.5)]


def _value(value: float) -> str:
    return f"{value:.2f}" if value < 100 else number(value)


def _short(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"
