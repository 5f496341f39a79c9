"""The ledger's entry of a record: its canonical bytes and their leaf hash.

The entry is made of the record as stored, not of the event as read, so that an upcaster written later never changes a
leaf. Its attributes are in the canonical form of RFC 8785; its data are the bytes that the log holds, to which the
codec has given that form when it wrote them. So an entry costs no second reading of the data. The leaf hash is that of
RFC 6962 §2.1, SHA-256(0x00 || entry).
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import sha256
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from shared.events.codec import rfc3339
from shared.log.records import Record

_ATTRIBUTES = {
    name: name.removeprefix("ce_")
    for name in (
        "ce_specversion",
        "ce_id",
        "ce_source",
        "ce_type",
        "ce_subject",
        "ce_time",
        "ce_actor",
        "ce_dataschema",
        "ce_causationid",
        "ce_correlationid",
        "ce_recordedtime",
    )
} | {"content-type": "datacontenttype"}


_ZERO = ord("0")
_SAFE = bytes(code for code in range(0x20, 0x7F) if code not in b'"\\')
"""What JSON has as it is."""


def entry(record: Record) -> bytes:
    """The structured CloudEvent of a record in canonical JSON; of an Arrow batch its facts and `tablesha256`, the
    SHA-256 (hex) of the batch as stored."""
    if record.headers:
        names, values = zip(*record.headers, strict=True)
        form = _form(names)
        if form is not None and not b"".join(values).translate(None, _SAFE):
            sequence = values[form.sequence]
            if sequence.isdigit() and (sequence[0] != _ZERO or len(sequence) == 1):
                return form.text % form.pick((*values, record.value))
    return entry_of_any(record)


class _Form(NamedTuple):
    """An entry with places for values; what gets them from the values of the headers and the data behind these, in the
    order of the places; and which header has the sequence."""

    text: bytes
    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    sequence: int


@lru_cache(maxsize=256)
def _form(names: tuple[str, ...]) -> _Form | None:
    """The form of entries whose records have these headers, in this order; None where they are not the usual ones."""
    keys = [_ATTRIBUTES.get(name, name.removeprefix("ce_")) for name in names]
    usual = all(name in _ATTRIBUTES or name == "ce_sequence" for name in names)
    if not usual or len(set(keys)) < len(keys) or not {"sequence", "recordedtime"}.issubset(keys):
        return None
    places = {key: place for place, key in enumerate(keys)} | {"data": len(keys)}
    told = sorted(places)
    parts = [f'"{key}":%b' if key in ("data", "sequence") else f'"{key}":"%b"' for key in told]
    text = "{" + ",".join(parts) + "}"
    return _Form(text.encode(), itemgetter(*(places[key] for key in told)), places["sequence"])


def entry_of_any(record: Record) -> bytes:
    """As `entry`, whatever the record's headers are; it costs three times as much."""
    attributes: dict[str, Any] = {}
    body = record.value
    for name, value in record.headers:
        known = _ATTRIBUTES.get(name)
        if known is not None:
            attributes[known] = value.decode()
        elif name == "ce_sequence":
            attributes["sequence"] = int(value)
        elif name == "ce_batch":
            body = value
            attributes["tablesha256"] = sha256(record.value).hexdigest()
        elif name.startswith("ce_"):
            attributes[name[3:]] = value.decode()
    if "recordedtime" not in attributes:
        attributes["recordedtime"] = rfc3339(record.recorded)
    attributes["data"] = orjson.Fragment(body)
    return orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)


def leaf_hash(data: bytes) -> bytes:
    """The leaf hash of an entry, 32 bytes."""
    return sha256(b"\0" + data).digest()
