"""How numbers, times and lists are written, the same in every format of a report."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any


def instant(moment: datetime) -> str:
    """A time to the second, as `2013-04-01 21:00:00 UTC`."""
    return f"{_plain(moment)} UTC"


def minute(moment: datetime) -> str:
    """A time to the minute, without its zone, for columns that say UTC."""
    return _plain(moment)[:16]


def date(moment: datetime) -> str:
    return _plain(moment)[:10]


def _plain(moment: datetime) -> str:
    """Not by strftime, which writes years before 1000 with fewer digits."""
    return moment.astimezone(UTC).isoformat(" ", "seconds")[:19]


def parsed(text: str) -> datetime:
    """An RFC 3339 time of an event's data."""
    return datetime.fromisoformat(text)


def number(value: float | None) -> str:
    """Four significant digits without idle zeros; whole numbers whole, with commas at the thousands."""
    if value is None or not math.isfinite(value):
        return "–"
    if float(value).is_integer() and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1e6 or abs(value) < 1e-4:
        return f"{value:.3e}"
    digits = max(0, 3 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "–"


def count(amount: int, one: str, many: str = "") -> str:
    """`1 flag`, `3 flags`, `no flags`."""
    if amount == 1:
        return f"1 {one}"
    return f"{'no' if amount == 0 else format(amount, ',')} {many or one + 's'}"


def listed(items: Iterable[str]) -> str:
    """`a, b and c`."""
    names = list(items)
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else ""


def figures(values: dict[str, Any]) -> str:
    """`auc 0.6998; brier 0.1014`."""
    return "; ".join(f"{name} {shown(value)}" for name, value in sorted(values.items()))


def settings(values: dict[str, Any]) -> str:
    """Parameters as they were set, without any rounding: `C 1; tol 0.0001`."""
    return "; ".join(f"{name} {value}" for name, value in sorted(values.items()))


def shown(value: Any) -> str:
    """Any plain value as a reader expects it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(map(shown, value)) or "none"
    if isinstance(value, dict):
        return figures(value) or "none"
    return str(value)
