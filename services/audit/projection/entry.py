"""The ledger's entry of a record: its canonical bytes and their leaf hash.

The entry is made of the record as stored, not of the event as read, so that an upcaster written later never changes a
leaf. Its attributes are in the canonical form of RFC 8785; its data are the bytes that the log holds, to which the
codec has given that form when it wrote them. So an entry costs no second reading of the data. The leaf hash is that of
RFC 6962 §2.1, SHA-256(0x00 || entry).
"""

from hashlib import sha256
from typing import Any

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


def entry(record: Record) -> bytes:
    """The structured CloudEvent of a record in canonical JSON; of an Arrow batch its facts and `tablesha256`, the
    SHA-256 (hex) of the batch as stored."""
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
