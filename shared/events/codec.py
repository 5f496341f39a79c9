"""Events to and from log records: CloudEvents 1.0 in Kafka's binary mode, and the JSON structured mode at the edges.

Binary mode: each attribute is a header `ce_NAME`, the body is the data: JSON, or an Arrow IPC stream for batch events,
whose own facts then travel in the extension attribute `ce_batch`. Source: CloudEvents Kafka Protocol Binding 1.0.2.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache, partial
from typing import Any

import orjson
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from shared.events.canonical import canonical
from shared.events.catalog import TYPES, upcast
from shared.events.envelope import BatchPayload, Event, Payload
from shared.events.plain import not_plain
from shared.events.refusal import Refused
from shared.log.records import Headers, Outgoing, Record

JSON = b"application/json"
ARROW = b"application/vnd.apache.arrow.stream"


MAX_JSON_BYTES = 15 * 2**20
"""So that an event fits into a record of the log (`Settings.kafka_max_message_bytes`) together with its headers."""

_BATCH = "ce_batch"
"""The last header, where there is one."""

_VAST = re.compile(rb"[:,[]-?\d{19}")
"""A whole number that may go beyond 64 bits; a text may look like one, which costs only time."""


class Undecodable(ValueError):
    """A record that holds no event of this language; `str(error)` says why."""


def rfc3339(moment: datetime) -> str:
    """A UTC moment as RFC 3339 with microseconds and `Z`, so that text order is time order."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").removesuffix("+00:00") + "Z"


def payload_json(payload: Payload) -> bytes:
    """The data of an event as canonical JSON: one fact, one sequence of bytes. Raises Refused on what some reader could
    not take in: 422 `not-plain` (whole numbers beyond 64 bits, text that is no Unicode), 413 `event-too-large`."""
    name = type(payload).__name__
    try:
        data = payload.model_dump(mode="json")
        plain = canonical(data)
    except (TypeError, UnicodeEncodeError, PydanticSerializationError) as error:
        raise Refused("not-plain", f"{name} cannot be kept: {error}.", status=422) from error
    if _VAST.search(plain) and (reason := not_plain(data, name)):
        raise Refused("not-plain", f"{reason}.", status=422)
    if len(plain) > MAX_JSON_BYTES:
        detail = f"{name} would have {len(plain)} bytes, more than {MAX_JSON_BYTES}: send less, such as a sample."
        raise Refused("event-too-large", detail, status=413)
    return plain


def encode(event: Event) -> Outgoing:
    """An event as a record for the log; its key is the subject, so that a stream keeps its order."""
    batch = isinstance(event.data, BatchPayload)
    if batch and event.table is None:
        raise ValueError(f"{event.type} {event.id} is a batch and has no table")
    headers: list[tuple[str, bytes]] = [
        ("ce_specversion", b"1.0"),
        ("ce_id", event.id.encode()),
        ("ce_source", event.source.encode()),
        ("ce_type", event.type.encode()),
        ("ce_subject", event.subject.encode()),
        ("ce_time", rfc3339(event.time).encode()),
        ("ce_sequence", str(event.sequence).encode()),
        ("ce_actor", event.actor.encode()),
        ("ce_dataschema", event.dataschema.encode()),
        ("content-type", ARROW if batch else JSON),
    ]
    if event.causationid:
        headers.append(("ce_causationid", event.causationid.encode()))
    if event.correlationid:
        headers.append(("ce_correlationid", event.correlationid.encode()))
    body = payload_json(event.data)
    if batch:
        headers.append((_BATCH, body))
    outgoing = Outgoing(event.subject, tuple(headers), (event.table or b"") if batch else body)
    return recorded_at(outgoing, event.recorded) if event.recorded else outgoing


def recorded_at(outgoing: Outgoing, recorded: datetime) -> Outgoing:
    """The record of an event that bore no record time, with this one."""
    headers = outgoing.headers
    place = len(headers) - (headers[-1][0] == _BATCH)
    header = ("ce_recordedtime", rfc3339(recorded).encode())
    return Outgoing(outgoing.key, (*headers[:place], header, *headers[place:]), outgoing.value)


def decode(record: Record) -> Event:
    """The event that a record holds. Raises Undecodable with the reason; never anything else."""
    names = dict(record.headers)
    try:
        read, batch = _reader(names["ce_type"], names["ce_dataschema"])
        cause, correlation = names.get("ce_causationid"), names.get("ce_correlationid")
        recorded = names.get("ce_recordedtime")
        return Event(
            names["ce_id"].decode(),
            names["ce_source"].decode(),
            names["ce_subject"].decode(),
            datetime.fromisoformat(names["ce_time"].decode()),
            int(names["ce_sequence"]),
            names["ce_actor"].decode(),
            read(names[_BATCH] if batch else record.value),
            cause.decode() if cause is not None else None,
            correlation.decode() if correlation is not None else None,
            datetime.fromisoformat(recorded.decode()) if recorded is not None else record.recorded,
            record.value if batch else None,
        )
    except KeyError as error:
        raise Undecodable(f"missing attribute, unknown type or missing upcaster: {error}") from error
    except (ValidationError, ValueError, IndexError, TypeError) as error:
        raise Undecodable(f"not an event of this language: {error}") from error


def structured(event: Event) -> dict[str, Any]:
    """An event in CloudEvents' JSON mode, for people and HTTP; of a batch only its facts, not its rows."""
    attributes: dict[str, Any] = {
        "specversion": "1.0",
        "id": event.id,
        "source": event.source,
        "type": event.type,
        "subject": event.subject,
        "time": rfc3339(event.time),
        "sequence": event.sequence,
        "actor": event.actor,
        "causationid": event.causationid,
        "correlationid": event.correlationid,
        "recordedtime": rfc3339(event.recorded) if event.recorded else None,
        "dataschema": event.dataschema,
        "datacontenttype": (ARROW if event.table is not None else JSON).decode(),
        "data": event.data.model_dump(mode="json"),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def header(headers: Headers, name: str) -> str | None:
    """One attribute of a record without decoding the rest."""
    return next((value.decode() for key, value in headers if key == name), None)


@lru_cache(maxsize=1_024)
def _reader(type_name: bytes, dataschema: bytes) -> tuple[Callable[[bytes], Payload], bool]:
    """What reads the data of a type in the version that a record of it has, and whether it is a batch."""
    cls, version = TYPES[type_name.decode()], int(dataschema.rsplit(b":", 1)[1])
    batch = issubclass(cls, BatchPayload)
    if version == cls.VERSION:
        return cls.__pydantic_validator__.validate_json, batch  # as `model_validate_json`, which asks for options first
    return partial(_upcast, cls, version), batch


def _upcast(cls: type[Payload], version: int, body: bytes) -> Payload:
    if version > cls.VERSION:
        raise ValueError(f"{cls.__name__} of version {version} is newer than {cls.VERSION}, the newest known here")
    return cls.model_validate(upcast(cls.__name__, version, orjson.loads(body)), strict=False)
