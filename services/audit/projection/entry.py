"""The ledger's entry of a record: its canonical bytes and their leaf hash.

Canonical JSON is RFC 8785; the leaf hash is that of RFC 6962 §2.1, SHA-256(0x00 || entry). The entry is made of the
record as stored, not of the event as read, so that an upcaster written later never changes a leaf.
"""

import math
import re
from hashlib import sha256
from typing import Any, cast

import orjson
import rfc8785

from shared.events.codec import rfc3339
from shared.log.records import Record

_EXACT = 2**53
_AS_THEY_ARE = (str, bool, type(None))
_NUMBERS_TO_CHECK = re.compile(rb"[:,[]-?\d+(?:[.eE]|(?<=\d{16}))")
"""Fractions, exponents and long integers stand behind one of these; a text may look like one, which costs only time."""


def entry(record: Record) -> bytes:
    """The structured CloudEvent of a record in canonical JSON; of an Arrow batch its facts and `tablesha256`, the
    SHA-256 (hex) of the batch as stored."""
    attributes: dict[str, Any] = {}
    body = record.value
    for name, value in record.headers:
        if name == "ce_batch":
            body = value
            attributes["tablesha256"] = sha256(record.value).hexdigest()
        elif name[:3] == "ce_":
            attributes[name[3:]] = value.decode()
        elif name == "content-type":
            attributes["datacontenttype"] = value.decode()
    attributes["sequence"] = int(attributes["sequence"])
    if "recordedtime" not in attributes:
        attributes["recordedtime"] = rfc3339(record.recorded)
    attributes["data"] = orjson.loads(body)
    ascii_only = body.isascii() and record.key.isascii()
    return canonical(attributes, ascii_only, ascii_only and _NUMBERS_TO_CHECK.search(body) is None)


def leaf_hash(data: bytes) -> bytes:
    """The leaf hash of an entry, 32 bytes."""
    return sha256(b"\0" + data).digest()


def canonical(value: Any, ascii_names: bool = False, plain: bool = False) -> bytes:
    """RFC 8785 bytes of JSON data. Integers beyond 2^53 are written as the doubles that I-JSON takes them for.

    `ascii_names`: the caller knows that no member's name goes beyond ASCII (UTF-16 and UTF-8 order them alike);
    `plain`: and that there are no fractions and no integers beyond 2^53.
    """
    if plain:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    odd: list[bool] = []
    value = _normal(value, odd)
    if odd or not (ascii_names or _ascii_names(value)):
        return rfc8785.dumps(value)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def _normal(value: Any, odd: list[bool]) -> Any:
    """The value with numbers as I-JSON has them; `odd` notes numbers that ECMAScript writes otherwise than orjson."""
    if isinstance(value, _AS_THEY_ARE):
        return value
    if isinstance(value, int):
        return value if -_EXACT < value < _EXACT else _number(float(value), odd)
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
    if isinstance(value, dict):
        members = cast("dict[str, Any]", value)
        return all(name.isascii() and _ascii_names(member) for name, member in members.items())
    if isinstance(value, list):
        return all(map(_ascii_names, cast("list[Any]", value)))
    return True
