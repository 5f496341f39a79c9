"""Kafka's consumer records as records of the log."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.log.records import Record

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record_of(message: Any) -> Record:
    """One aiokafka ConsumerRecord. `recorded` is the broker's append time (`message.timestamp.type=LogAppendTime`)."""
    return Record(
        message.topic,
        message.partition,
        message.offset,
        message.key.decode() if message.key else "",
        tuple(message.headers),
        message.value or b"",
        _EPOCH + timedelta(milliseconds=message.timestamp),
    )


def records_of(messages: Sequence[Any]) -> list[Record]:
    return [record_of(message) for message in messages]
