"""KPIs and fairness in a few sentences, for who owns the business question and reads no statistics."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.monitor.domain.fairness import FourFifths
from services.monitor.domain.kpi import Kpi

_NAMED = 3


def amount(value: float, unit: str = "") -> str:
    """A quantity with its unit: thousands apart, cents only of small ones."""
    size = abs(value)
    if size >= 1_000 or value == int(value):
        text = f"{value:,.0f}"
    else:
        text = f"{value:,.2f}".rstrip("0").rstrip(".") if size >= 1 else f"{value:.3g}"
    return f"{text} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Value:
    """A KPI of some cases; `never` and `always`: what the same cases had come to, had nobody been acted upon, and had
    everybody; None where that is not known."""

    cases: int
    total: float
    per_case: float
    never: float | None = None
    always: float | None = None


def kpi_in_words(kpi: Kpi, found: Value) -> str:
    """What it comes to, whether that is good enough, and what doing nothing had come to."""
    return " ".join([_comes_to(kpi, found), *_against_target(kpi, found), *_otherwise(kpi, found)])


def fairness_in_words(attribute: str, judged: Sequence[FourFifths], favourable: str) -> str:
    """Which groups are treated worse than four fifths of the best treated, and whether chance explains it."""
    if not judged:
        return f"Too few predictions to compare groups by {attribute}."
    done = "called positive" if favourable == "positive" else "called negative"
    adverse = sorted((one for one in judged if one.adverse), key=lambda one: one.ratio)
    if not adverse:
        least = min(judged, key=lambda one: one.ratio)
        return (
            f"By {attribute} no group is {done} less than four fifths as often as "
            f"'{least.highest}', which is most often; "
            f"the least is '{least.group}', {amount(least.ratio)} times as often."
        )
    sure = {True: "surely", False: "perhaps by chance"}
    told = [f"'{one.group}' {amount(one.ratio)} times ({sure[one.certain]})" for one in adverse]
    more = f" and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
    return (
        f"By {attribute} some are {done} less than four fifths as often as "
        f"'{adverse[0].highest}', which is most often: "
        f"{', '.join(told[:_NAMED])}{more}."
    )


def _comes_to(kpi: Kpi, found: Value) -> str:
    cases = f"{found.cases:,} case{'s' if found.cases != 1 else ''} with an outcome"
    if kpi.formula.kind == "metric":
        return f"{amount(found.per_case, kpi.unit)} over {cases}."
    return f"{amount(found.per_case, kpi.unit)} a case over {cases}, {amount(found.total, kpi.unit)} in all."


def _against_target(kpi: Kpi, found: Value) -> list[str]:
    if kpi.target is None:
        return []
    bound = "at most" if kpi.direction == "lower" else "at least"
    away = amount(abs(found.per_case - kpi.target), kpi.unit)
    met = f"missed by {away}" if kpi.breached(found.per_case) else "met"
    return [f"The target, {bound} {amount(kpi.target, kpi.unit)}, is {met}."]


def _otherwise(kpi: Kpi, found: Value) -> list[str]:
    named = {"had nobody been acted upon": found.never, "had everybody": found.always}
    parts = [f"{_apart(value - found.total, kpi.unit)} {when}" for when, value in named.items() if value is not None]
    return [f"The same cases had come to {' and '.join(parts)}."] if parts else []


def _apart(difference: float, unit: str) -> str:
    return f"{amount(abs(difference), unit)} {'more' if difference > 0 else 'less'}" if difference else "as much"
