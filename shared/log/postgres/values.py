"""Values on their way to PostgreSQL. Pure."""

import re
from collections.abc import Iterable
from typing import Any

import orjson

_BIGINT = 2**63 - 1
_NUL = re.compile(rb"(?<!\\)((?:\\\\)*)\\u0000")  # an escaped NUL, not an escaped backslash before `u0000`
_STAND_IN = "\ufffd"


def clean(value: Any) -> Any:
    """A value that PostgreSQL can be asked for: NUL in text becomes U+FFFD, whole numbers stay within 64 bits."""
    if isinstance(value, str):
        return value.replace("\x00", _STAND_IN) if "\x00" in value else value
    if isinstance(value, int) and not isinstance(value, bool):
        return max(-_BIGINT - 1, min(_BIGINT, value))
    return value


def clean_all(kind: str, values: list[Any]) -> list[Any]:
    """Values of one SQL type, none of them null, as `clean` gives each; JSON as text, for arrays of it. Looks only for
    what this type could hold: a question about a thousand things names each."""
    if kind == "jsonb":
        return list(map(json_text, values))
    if kind == "text":
        return list(map(clean, values)) if any("\x00" in value for value in values) else values
    return list(map(clean, values)) if kind == "bigint" else values


def array_text(values: list[str]) -> str:
    """Texts as the literal of one array. asyncpg asks of every element of a list whether it is a list itself, which is
    most of what a question about hundreds of things costs. PostgreSQL manual, "Array Input and Output Syntax"."""
    if not values:
        return "{}"
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join(value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return f'{{"{joined}"}}'


def array_number(values: Iterable[int]) -> str:
    """The same of whole numbers."""
    return f"{{{','.join(map(str, values))}}}"


def json_bytes(value: Any) -> bytes:
    """JSON for `jsonb`, which cannot hold NUL either."""
    data = orjson.dumps(value)
    return _NUL.sub(rb"\g<1>" + _STAND_IN.encode(), data) if b"\\u0000" in data else data


def json_text(value: Any) -> str | None:
    """JSON as text, for arrays of it: asyncpg takes lists inside an array for another dimension."""
    return None if value is None else json_bytes(value).decode()
