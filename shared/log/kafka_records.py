"""Kafka's consumer records as records of the log."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.log.records import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record_of(message: Any) -> Record:
    """One aiokafka ConsumerRecord. `recorded` is the broker's append time (`message.timestamp.type=LogAppendTime`)."""
    return records_of([message])[0]


def records_of(messages: Sequence[Any]) -> list[Record]:
    """The same for many; those of one batch were appended at the same moment."""
    records: list[Record] = []
    stamp, recorded = 0, _EPOCH
    for message in messages:
        if message.timestamp != stamp:
            stamp = message.timestamp
            recorded = _EPOCH + timedelta(milliseconds=stamp)
        key, headers = message.key, tuple(message.headers)
        records.append(
            Record(
                message.topic,
                message.partition,
                message.offset,
                key.decode() if key else "",
                headers,
                message.value or b"",
                recorded,
            )
        )
    return records
