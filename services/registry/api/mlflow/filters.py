"""MLflow's filter language and orders for searches in the model registry. Pure.

`name = 'a' AND tags.team LIKE 'x%' AND version_number > 3 AND run_id IN ('a', 'b')`: comparisons joined by AND. Keys of
tags may stand in backticks or double quotes. Source: MLflow 3.17, mlflow/utils/search_utils.py (SearchModelUtils,
SearchModelVersionUtils).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from services.registry.api.mlflow.errors import invalid
from shared.log.tables import Operator, Where

MAX_FILTER = 20_000
MAX_COMPARISONS = 100
IS_PROMPT = "mlflow.prompt.is_prompt"

_KEY = r"`[^`]+`|\"[^\"]+\"|[^\s=!<>()'\",`]+"
_COMPARISON = re.compile(
    rf"\s*(?:(?P<entity>attributes?|attr|tags?)\s*\.\s*)?(?P<key>{_KEY})"
    r"\s*(?P<comparator>!=|>=|<=|=|<|>|\bNOT\s+IN\b|\bIN\b|\bNOT\s+ILIKE\b|\bILIKE\b|\bNOT\s+LIKE\b|\bLIKE\b)"
    r"\s*(?P<value>'(?:[^']|'')*'|\"[^\"]*\"|\((?:[^()']|'(?:[^']|'')*')*\)|-?\d+(?:\.\d+)?)\s*",
    re.IGNORECASE,
)
_AND = re.compile(r"AND\b", re.IGNORECASE)
_ITEM = re.compile(r"\s*(?:'((?:[^']|'')*)'|\"([^\"]*)\")\s*(?:,|$)")
_ORDER = re.compile(r"\s*(?:attributes?\s*\.\s*)?[`\"]?(?P<key>\w+)[`\"]?(?:\s+(?P<way>ASC|DESC))?\s*", re.IGNORECASE)

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {"=": eq, "!=": ne, "<": lt, "<=": le, ">": gt, ">=": ge}
_OF_TEXT = ("=", "!=", "LIKE", "ILIKE")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One comparison; `tag`: of the tag of this key, else of an attribute."""

    tag: bool
    key: str
    comparator: str
    value: Any

    def holds(self, found: Any) -> bool:
        """Whether it holds of this value (None: there is none)."""
        if self.tag and self.key == IS_PROMPT and found is None:
            return (self.comparator, str(self.value).lower()) in {("=", "false"), ("!=", "true")}
        if found is None:
            return False
        match self.comparator:
            case "LIKE" | "ILIKE":
                return _like(self.value, self.comparator == "ILIKE").fullmatch(str(found)) is not None
            case "IN":
                return found in self.value
            case "NOT IN":
                return found not in self.value
            case _:
                return _COMPARED[self.comparator](found, self.value)


def parse(text: str, attributes: Mapping[str, type]) -> list[Comparison]:
    """The comparisons of a filter; `attributes`: those that may be named, and whether of text or numbers.
    Raises MlflowError INVALID_PARAMETER_VALUE."""
    if len(text) > MAX_FILTER:
        raise invalid(f"The filter has {len(text)} characters, more than {MAX_FILTER}.")
    found: list[Comparison] = []
    place = 0
    while text[place:].strip():
        matched = _COMPARISON.match(text, place)
        if matched is None:
            raise invalid(f"Invalid clause(s) in filter string: {text[place:].strip()[:200]}")
        found.append(_comparison(matched, attributes))
        place = matched.end()
        following = _AND.match(text, place)
        if following is not None:
            place = following.end()
        if (following is None) == bool(text[place:].strip()) or len(found) > MAX_COMPARISONS:
            raise invalid(f"Invalid clause(s) in filter string: {text[place:].strip()[:200]}")
    return found


def _comparison(matched: re.Match[str], attributes: Mapping[str, type]) -> Comparison:
    tag = (matched["entity"] or "").lower().startswith("tag")
    key = matched["key"].strip('`"')
    comparator = " ".join(matched["comparator"].upper().split())
    value = _value(matched["value"])
    if tag:
        if comparator not in _OF_TEXT or not isinstance(value, str):
            raise invalid(f"Invalid comparator or value for tag '{key}': {comparator} {matched['value']}")
        return Comparison(True, key, comparator, value)
    if key not in attributes:
        raise invalid(f"Invalid attribute key '{key}' specified. Valid keys are '{sorted(attributes)}'")
    if attributes[key] is int:
        return Comparison(False, key, *_of_number(key, comparator, value))
    if isinstance(value, tuple) != (comparator in ("IN", "NOT IN")) or isinstance(value, int | float):
        raise invalid(f"Expected a quoted string value, or a list of them after IN, for '{key}'.")
    if comparator not in (*_OF_TEXT, "IN", "NOT IN") or (isinstance(value, tuple) and key not in ("name", "run_id")):
        raise invalid(f"Invalid comparator for attribute {key}: {comparator}")
    return Comparison(False, key, comparator, value)


def _of_number(key: str, comparator: str, value: Any) -> tuple[str, int]:
    if comparator not in _COMPARED:
        raise invalid(f"Invalid comparator for attribute {key}: {comparator}")
    digits = str(value)
    if not (isinstance(value, int) or (isinstance(value, str) and digits.isascii() and digits.isdigit())):
        raise invalid(f"Invalid value for numeric attribute '{key}': {value!r}")
    return comparator, max(-(2**31), min(int(value), 2**31)) if len(digits) < 20 else 2**31


def _value(text: str) -> Any:
    if text[0] in "'\"":
        return text[1:-1].replace("''", "'") if text[0] == "'" else text[1:-1]
    if text[0] != "(":
        return float(text) if "." in text else int(text[:20])
    inner, items, place = text[1:-1], list[str](), 0
    while place < len(inner):
        matched = _ITEM.match(inner, place)
        if matched is None:
            raise invalid(f"Expected a list of quoted strings, got {text[:200]}")
        items.append(matched[1].replace("''", "'") if matched[1] is not None else matched[2])
        place = matched.end()
    if not items:
        raise invalid("While parsing a list in the query string, expected at least one string.")
    return tuple(items)


def _like(pattern: str, any_case: bool) -> re.Pattern[str]:
    parts = [{"%": ".*", "_": "."}.get(mark, re.escape(mark)) for mark in pattern]
    return re.compile("".join(parts), re.DOTALL | (re.IGNORECASE if any_case else 0))


def conditions(comparisons: Sequence[Comparison], columns: Mapping[str, str]) -> tuple[Where, ...]:
    """What of a filter the store finds by itself; `columns`: attribute → column. The rest is looked at row by row."""
    found: list[Where] = []
    for one in comparisons:
        if one.tag or one.key not in columns:
            continue
        column = columns[one.key]
        if one.key == "run_id" and (one.comparator not in ("=", "IN") or one.holds("")):
            continue  # where there is no run, the column holds nothing, and the answer an empty text
        if one.comparator in _COMPARED:
            operator: Operator = one.comparator  # type: ignore[assignment]
            found.append(Where(column, operator, one.value))
        elif one.comparator == "IN":
            found.append(Where(column, "in", list(one.value)))
        elif one.comparator == "LIKE" and (start := re.split(r"[%_]", one.value, maxsplit=1)[0]):
            found.append(Where(column, "prefix", start))
    return tuple(found)


def order(texts: Sequence[str], columns: Mapping[str, str]) -> tuple[str, ...]:
    """Columns to order by, `-` before those that descend. Raises MlflowError INVALID_PARAMETER_VALUE."""
    found: list[str] = []
    for text in texts:
        matched = _ORDER.fullmatch(text)
        if matched is None or matched["key"] not in columns:
            raise invalid(f"Invalid order by key '{text[:200]}' specified. Valid keys are '{sorted(columns)}'")
        column = columns[matched["key"]]
        if column in {one.removeprefix("-") for one in found}:
            raise invalid(f"`order_by` contains duplicate fields: {list(texts)}")
        found.append(f"-{column}" if (matched["way"] or "").upper() == "DESC" else column)
    return tuple(found)
