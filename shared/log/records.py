"""What the log keeps: records at positions."""

from datetime import datetime
from typing import NamedTuple

import msgspec

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    topic: str
    partition: int


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A record on its way into the log. Records with one key keep their order."""

    key: str
    headers: Headers
    value: bytes


class Record(msgspec.Struct, frozen=True, gc=False):
    """A record at its place. Offsets of a partition are contiguous, from 0; `recorded` is the log's own clock."""

    topic: str
    partition: int
    offset: int
    key: str
    headers: Headers
    value: bytes
    recorded: datetime

    @property
    def place(self) -> TopicPartition:
        return TopicPartition(self.topic, self.partition)


class Bounds(NamedTuple):
    """`begin`: the oldest offset kept; `end`: the offset that the next record will get."""

    begin: int
    end: int
