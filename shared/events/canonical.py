"""Canonical JSON (RFC 8785): one fact, one sequence of bytes.

Source: RFC 8785, §3.2. Whole numbers beyond 2^53, which it has no form for, are written digit by digit: losing the form
is better than losing the number.
"""

import math
import re
from typing import Any, cast

import orjson
import rfc8785

_EXACT = 2**53
_AS_THEY_ARE = (str, int, type(None))  # bool is an int
_FRACTIONS = re.compile(rb"(?:^|[:,[])-?\d+[.eE]")
"""Fractions and exponents stand behind one of these; a text may look like one, which costs only time."""


def canonical(value: Any) -> bytes:
    """RFC 8785 bytes of JSON data: dictionaries, lists, text, numbers, truth values and None."""
    plain = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if plain.isascii() and _FRACTIONS.search(plain) is None:
        return plain
    odd: list[bool] = []
    normal = _normal(value, odd)
    if not odd and (plain.isascii() or _ascii_names(value)):
        return orjson.dumps(normal, option=orjson.OPT_SORT_KEYS)
    try:
        return rfc8785.dumps(normal)
    except rfc8785.IntegerDomainError:
        return orjson.dumps(normal, option=orjson.OPT_SORT_KEYS)


def _normal(value: Any, odd: list[bool]) -> Any:
    """The value with whole numbers as integers; `odd` notes numbers that ECMAScript writes otherwise than orjson."""
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, float):
        return _number(value, odd)
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return {name: _normal(member, odd) for name, member in members.items()}
    return [_normal(item, odd) for item in value]


def _number(value: float, odd: list[bool]) -> int | float | None:
    if not math.isfinite(value):
        return None
    if value.is_integer() and abs(value) < _EXACT:
        return int(value)
    if not 1e-4 < abs(value) < 1e15:
        odd.append(True)
    return value


def _ascii_names(value: Any) -> bool:
    """Whether no member's name goes beyond ASCII: UTF-16 and UTF-8 order such names alike."""
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return all(name.isascii() and _ascii_names(member) for name, member in members.items())
    if isinstance(value, list):
        return all(map(_ascii_names, cast("list[Any]", value)))
    return True
