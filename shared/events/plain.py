"""What free-form data inside an event may hold, so that every adapter can keep it and every reader parse it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any, cast

MAX_DEPTH = 50
_INT64 = 2**63


def not_plain(value: Any, where: str, depth: int = 0) -> str | None:
    """Why this is no plain JSON data that can be kept, naming the place below `where`; None where it is.

    Refused: NaN and infinity, integers beyond 64 bits, text that is no Unicode, more than MAX_DEPTH levels.
    """
    if depth > MAX_DEPTH:
        return f"{where} lies more than {MAX_DEPTH} levels deep"
    match value:
        case float() if not math.isfinite(value):
            return f"{where} is {value}; send a finite number, or null where it is missing"
        case int() if not -_INT64 <= value < _INT64:
            return f"{where} is an integer beyond 64 bits"
        case str() if not _unicode(value):
            return f"{where} is no Unicode text: it holds half a surrogate pair"
        case Mapping():
            named = cast("Mapping[str, Any]", value)
            pairs = [(f"{where}.{name}", item) for name, item in named.items()]
            keys = [not_plain(name, f"a name in {where}", depth) for name in named]
            return _first([*keys, *(not_plain(item, place, depth + 1) for place, item in pairs)])
        case list() | tuple():
            items = cast("Sequence[Any]", value)
            return _first([not_plain(item, f"{where}[{place}]", depth + 1) for place, item in enumerate(items)])
        case _:
            return None


def _first(reasons: Sequence[str | None]) -> str | None:
    return next((reason for reason in reasons if reason), None)


def _unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
