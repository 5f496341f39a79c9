"""What the log keeps: records at positions."""

from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

Headers = tuple[tuple[str, bytes], ...]


class TopicPartition(NamedTuple):
    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record on its way into the log. Records with one key keep their order."""

    key: str
    headers: Headers
    value: bytes


@dataclass(frozen=True, slots=True)
class Record:
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
