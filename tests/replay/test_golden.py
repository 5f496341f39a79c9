"""Every version of every event type ever shipped still decodes to the same fact.

A golden file is the record as the log keeps it and the event as it must read today. Files are only ever added:
`python -m tests.replay.test_golden` writes those that are missing and touches no other.
"""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.events import batches
from shared.events.catalog import TYPES
from shared.events.codec import Undecodable, decode, encode, structured
from shared.events.envelope import Payload
from shared.log.records import Outgoing, Record
from tests.replay.samples import PAYLOADS, sample

GOLDEN = Path(__file__).parent / "golden"
FILES = sorted(GOLDEN.glob("*.json"))


def record_of(outgoing: Outgoing) -> Record:
    return Record("any", 0, 0, outgoing.key, outgoing.headers, outgoing.value, datetime(2026, 1, 1, tzinfo=UTC))


def name_of(type_name: str) -> str:
    return f"{type_name}.v{TYPES[type_name].VERSION}.json"


def _with_later_fields(payload: Payload, kept: dict[str, Any]) -> dict[str, Any]:
    """The data as it was kept; a field added to the type since reads as its default."""
    return payload.model_validate(kept, strict=False).model_dump(mode="json")


def test_every_type_has_a_golden_file_of_its_newest_version() -> None:
    assert {name_of(name) for name in TYPES} <= {path.name for path in FILES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_record_still_reads_the_same(path: Path) -> None:
    kept = json.loads(path.read_text())
    headers = tuple((name, value.encode()) for name, value in kept["headers"])
    event = decode(record_of(Outgoing(kept["key"], headers, base64.b64decode(kept["value"]))))
    assert structured(event) == {**kept["event"], "data": _with_later_fields(event.data, kept["event"]["data"])}
    if event.table is not None:
        assert json.loads(json.dumps(batches.read(event.table).to_pylist(), default=str)) == kept["rows"]


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_encode_then_decode_is_the_same_event(payload) -> None:
    event = sample(payload)
    assert decode(record_of(encode(event))) == event


def test_an_unknown_type_a_newer_version_and_torn_data_are_told_apart() -> None:
    outgoing = encode(sample(PAYLOADS[0]))
    headers = dict(outgoing.headers)

    def with_header(name: str, value: bytes) -> Record:
        return record_of(Outgoing("k", tuple({**headers, name: value}.items()), outgoing.value))

    with pytest.raises(Undecodable, match="unknown type"):
        decode(with_header("ce_type", b"Nonsense"))
    with pytest.raises(Undecodable, match="newer than 1"):
        decode(with_header("ce_dataschema", b"urn:muniment:event:GoalStated:9"))
    with pytest.raises(Undecodable, match="missing attribute"):
        decode(record_of(Outgoing("k", (), outgoing.value)))
    with pytest.raises(Undecodable, match="not an event"):
        decode(record_of(Outgoing("k", outgoing.headers, outgoing.value[:-3])))


def write_missing() -> None:
    for payload in PAYLOADS:
        event = sample(payload)
        path = GOLDEN / name_of(event.type)
        if path.exists():
            continue
        outgoing = encode(event)
        kept = {
            "key": outgoing.key,
            "headers": [[name, value.decode()] for name, value in outgoing.headers],
            "value": base64.b64encode(outgoing.value).decode(),
            "event": structured(event),
        }
        if event.table is not None:
            kept["rows"] = batches.read(event.table).to_pylist()
        path.write_text(json.dumps(kept, indent=1, default=str, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_missing()
