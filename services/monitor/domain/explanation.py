"""An explanation in words that whoever knows the business understands, and how alike two cases are.

Contributions are Shapley values (Lundberg and Lee 2017, arXiv:1705.07874): they add up to the output less the mean
output of the reference.
"""

# pyright: reportUnknownMemberType=false

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shared.events.registry import Field, Signature

Floats = NDArray[np.float64]

SAID = 5
"""Contributions that are put into words."""

SMALL = 0.005
"""Contributions below this share of all are not put into words."""

_UNIT = re.compile(r"\s*\[([^\[\]]{1,40})\]\s*$")


@dataclass(frozen=True, slots=True)
class Contribution:
    """How far the value of one feature moved the output, in the output's unit. `typical`: the median of the reference,
    or its most frequent value."""

    feature: str
    value: Any
    contribution: float
    typical: Any


@dataclass(frozen=True, slots=True)
class Shown:
    """How a feature or an output is named: its description or its name, and its unit, if any."""

    label: str
    unit: str


def shown(field: Field | None, name: str) -> Shown:
    """The unit is the field's own, or stands in brackets at the end of its description: `Departure delay [min]`."""
    description = field.description if field is not None else ""
    found = _UNIT.search(description)
    label = description[: found.start()] if found else description
    unit = (field.unit if field is not None else "") or (found.group(1) if found else "")
    return Shown((label.strip() or name.replace("_", " ")).rstrip("."), unit)


def typical(values: Sequence[Any]) -> Any:
    """The median of numbers (the lower of two), or the most frequent value; None where all are missing."""
    known = [value for value in values if value is not None and not (isinstance(value, float) and math.isnan(value))]
    if not known:
        return None
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in known):
        return sorted(known)[(len(known) - 1) // 2]
    return max(sorted(set(known), key=str), key=known.count)


def is_probability(values: Floats) -> bool:
    """Whether outputs look like probabilities: all within 0 to 1, and not all of them 0 or 1."""
    return bool(np.all((values >= 0) & (values <= 1)) and np.any((values > 0) & (values < 1)))


def words(
    signature: Signature, output: str, answer: float, base: float, found: Sequence[Contribution], probability: bool
) -> list[str]:
    """Sentences: what the model said beside what it says on average, then what moved it most, strongest first."""
    name = shown(next((one for one in signature.outputs if one.name == output), None), output)
    fields = {one.name: one for one in signature.inputs}
    what = _lower(name.label)
    said = [
        f"The model's {what} is {_amount(answer, name, probability)}; on average it is "
        f"{_amount(base, name, probability)}."
    ]
    strongest = sorted(found, key=lambda one: (-abs(one.contribution), one.feature))
    whole = sum(abs(one.contribution) for one in found)
    for one in strongest[:SAID]:
        if whole and abs(one.contribution) >= SMALL * whole:
            moved = "raised" if one.contribution > 0 else "lowered"
            by = _difference(abs(one.contribution), name, probability)
            subject = _subject(one, shown(fields.get(one.feature), one.feature))
            said.append(f"{subject} {moved} the {what} by {by}{_beside(one, fields.get(one.feature))}.")
    if len(said) == 1:
        said.append("No single value moved it away from the average.")
    rest = len([one for one in found if one.contribution]) - (len(said) - 1)
    if rest > 0 and len(said) > 1:
        left = answer - base - sum(one.contribution for one in strongest[: len(said) - 1])
        moved = "raised" if left > 0 else "lowered"
        values = "other value" if rest == 1 else "other values together"
        said.append(f"{rest} {values} {moved} it by {_difference(abs(left), name, probability)}.")
    return said


def past(cases: int, known: Sequence[float], probability: bool) -> str:
    """What became of the nearest past cases, in a sentence."""
    if not cases:
        return "There are no past cases to compare it with yet."
    if not known:
        return f"Of the {cases} most similar past cases it is not known yet how they turned out."
    if probability and set(known) <= {0.0, 1.0}:
        return f"Of the {cases} most similar past cases, {len(known)} are known: {int(sum(known))} came true."
    mean = number(sum(known) / len(known))
    return f"Of the {cases} most similar past cases, {len(known)} are known: they averaged {mean}."


def number(value: float) -> str:
    """A number with three significant digits, whole ones whole, thousands apart."""
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 1_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) >= 1e-4 else f"{value:.2e}"


def scales(sample: Mapping[str, Sequence[Any]], numbers: Sequence[str]) -> dict[str, float]:
    """The standard deviation of each number in the reference; 1 where it does not vary."""
    found: dict[str, float] = {}
    for name in numbers:
        values = np.array([_float(value) for value in sample.get(name, ())], np.float64)
        values = values[np.isfinite(values)]
        spread = float(values.std()) if len(values) else 0.0
        found[name] = spread if spread > 0 and math.isfinite(spread) else 1.0
    return found


def distances(row: Mapping[str, Any], columns: Mapping[str, Sequence[Any]], scale: Mapping[str, float]) -> Floats:
    """How far each row of `columns` lies from `row`: the root of the mean square over the row's features.

    A number counts its difference in standard deviations of the reference, any other value 0 where equal and 1 where
    not (Gower 1971, doi:10.2307/2528823, for mixed kinds); missing against known counts 1, missing twice 0.
    """
    total: Floats | None = None
    for name, value in row.items():
        column = columns.get(name)
        if column is None:
            continue
        part = _part(value, column, scale.get(name))
        total = part if total is None else total + part
    count = max(1, len([name for name in row if name in columns]))
    return np.sqrt(total / count) if total is not None else np.zeros(0)


def _part(value: Any, column: Sequence[Any], scale: float | None) -> Floats:
    if scale is None:
        return np.array([0.0 if other == value else 1.0 for other in column])
    others = np.array([_float(other) for other in column], np.float64)
    own = _float(value)
    unknown = np.isnan(others)
    if math.isnan(own):
        return np.where(unknown, 0.0, 1.0)
    return np.where(unknown, 1.0, ((others - own) / scale) ** 2)


def _float(value: Any) -> float:
    return math.nan if value is None else float(value)


def _amount(value: float, name: Shown, probability: bool) -> str:
    if probability:
        return f"{number(round(value * 100, 1))} %"
    return f"{number(value)} {name.unit}".rstrip()


def _difference(value: float, name: Shown, probability: bool) -> str:
    if probability:
        points = number(round(value * 100, 1))
        return f"{points} point" if points == "1" else f"{points} points"
    return f"{number(value)} {name.unit}".rstrip()


def _subject(one: Contribution, name: Shown) -> str:
    label = name.label[:1].upper() + name.label[1:]
    if _missing(one.value):
        return f"That the {_lower(name.label)} is not known"
    if isinstance(one.value, bool):
        return f"{label} being {'true' if one.value else 'false'}"
    return f"{label} of {_value(one.value, name)}"


def _beside(one: Contribution, field: Field | None) -> str:
    if _missing(one.typical) or one.typical == one.value:
        return ""
    return f" (typical: {_value(one.typical, shown(field, one.feature))})"


def _value(value: Any, name: Shown) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f"'{value}'" if isinstance(value, str) else number(float(value))
    return f"{text} {name.unit}".rstrip()


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _lower(label: str) -> str:
    """The label within a sentence; a name of capitals keeps them."""
    return label if label[:2].isupper() else label[:1].lower() + label[1:]
