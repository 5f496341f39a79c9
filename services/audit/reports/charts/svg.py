"""Elements, scales and axes that the charts share. Coordinates are in pixels of a WIDTH wide view box."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from services.audit.drawing.markup import escaped

WIDTH = 680.0
LEFT, RIGHT, TOP = 52.0, 14.0, 26.0
INK, FAINT, GRID, ALARM = "#1f2a37", "#6b7280", "#e2e5ea", "#a4262c"
PALETTE = ("#1d4e89", "#c77700", "#2e7d5b", "#7b3f8c", "#5c6670", "#0f8b8d")
FONT = "Libertinus Serif, Charter, Georgia, serif"

Point = tuple[datetime, float]


def drawing(height: float, elements: Iterable[str], label: str) -> str:
    """A whole SVG document. `label` says for those who cannot see it what it shows."""
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {f(WIDTH)} {f(height)}" role="img" '
        f'aria-label="{escaped(label)}" font-family="{FONT}" font-size="11">'
    )
    return head + "".join(elements) + "</svg>"


def f(value: float) -> str:
    """A coordinate, short and the same on every machine."""
    return f"{value:.1f}".removesuffix(".0")


def text(
    x: float, y: float, words: str, *, anchor: str = "start", colour: str = FAINT, size: float = 0, halo: bool = False
) -> str:
    """Words at a place; `halo`: with a white rim, to lie under the same words where lines cross them."""
    extra = f' font-size="{f(size)}"' if size else ""
    extra += ' stroke="#ffffff" stroke-width="3" stroke-linejoin="round" aria-hidden="true"' if halo else ""
    return f'<text x="{f(x)}" y="{f(y)}" text-anchor="{anchor}" fill="{colour}"{extra}>{escaped(words)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, colour: str = GRID, *, width: float = 1, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    place = f'x1="{f(x1)}" y1="{f(y1)}" x2="{f(x2)}" y2="{f(y2)}"'
    return f'<line {place} stroke="{colour}" stroke-width="{f(width)}"{dashed}/>'


def box(x: float, y: float, width: float, height: float, colour: str) -> str:
    place = f'x="{f(x)}" y="{f(y)}" width="{f(width)}" height="{f(height)}"'
    return f'<rect {place} fill="{colour}"/>'


def path(points: Iterable[tuple[float, float]], colour: str, *, width: float = 1, opacity: float = 1) -> str:
    steps = " ".join(f"{'M' if place == 0 else 'L'}{f(x)} {f(y)}" for place, (x, y) in enumerate(points))
    faded = f' stroke-opacity="{opacity}"' if opacity < 1 else ""
    look = f'fill="none" stroke="{colour}" stroke-width="{f(width)}" stroke-linejoin="round"{faded}'
    return f'<path d="{steps}" {look}/>'


def legend(names: Iterable[str], start: float = LEFT) -> list[str]:
    """Colour and name of each series, above the drawing."""
    parts: list[str] = []
    x = start
    for place, name in enumerate(names):
        colour = PALETTE[place % len(PALETTE)]
        parts += [box(x, 7, 10, 3, colour), text(x + 14, 12, name, colour=INK)]
        x += 26 + 5.6 * len(name)
    return parts


def ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that enclose `low` to `high`, about `wanted` steps apart. Source: Heckbert, "Nice numbers for
    graph labels", Graphics Gems, 1990."""
    size = max(abs(low), abs(high))
    if high - low <= size * 1e-9 or size < 1e-30:  # no more than rounding lies between them
        low, high = (low - size / 2, high + size / 2) if size >= 1e-30 else (0.0, 1.0)
    raw = (high - low) / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = power * next(nice for nice in (1, 2, 2.5, 5, 10) if raw <= nice * power * 1.0000001)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    return [float(f"{place * step:.12g}") for place in range(first, last + 1)]


def tick_label(value: float, step: float) -> str:
    digits = max(0, -math.floor(math.log10(step) + 1e-9)) if step < 1 else (0 if float(step).is_integer() else 1)
    if step == 0.25 or step == 0.025:
        digits += 1
    return f"{value:,.{digits}f}"


def dates(start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    """Where to label a time axis: months, or days where the span is short, or years where it is long."""
    days = (end - start).total_seconds() / 86_400
    if days <= 45:
        step = max(1, math.ceil(days / 8))
        first = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        found = [first + timedelta(days=step * place) for place in range(int(days // step) + 2)]
        within = [day for day in found if start <= day <= end]
        return [(day, day.strftime("%-d %b %Y" if day == within[0] else "%-d %b")) for day in within]
    months = [month for month in _months(start, end) if start <= month <= end]
    every = max(1, math.ceil(len(months) / 12))
    shown = months[::every]
    return [(month, month.strftime("%b %Y" if month == shown[0] or month.month == 1 else "%b")) for month in shown]


def _months(start: datetime, end: datetime) -> Iterable[datetime]:
    year, month = start.year, start.month
    while (year, month) <= (end.year, end.month):
        yield datetime(year, month, 1, tzinfo=UTC)
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)
