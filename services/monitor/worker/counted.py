"""Up to when all that the log took is in the views."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from shared.log.records import TopicPartition

Offsets = Mapping[TopicPartition, int]


@dataclass(slots=True)
class Counted:
    """Remembers where the log ended at some moments, and which of them the consumer has passed.

    A busy log is never read to its end, but soon to where it ended a moment ago.
    """

    _ahead: tuple[datetime, Offsets] | None = None
    _passed: tuple[datetime, Offsets] | None = None

    def until(self, at: datetime, ends: Offsets, kept: Offsets) -> datetime | None:
        """`ends`: where the log ended at `at` or later; `kept`: the offsets of what the views hold; answers the latest
        moment known up to which they hold everything. None: not known, as after a rebuild has begun."""
        if self._passed is not None and not _passed(self._passed[1], kept):
            self._passed = None
        if _passed(ends, kept):
            self._passed, self._ahead = (at, ends), None
        elif self._ahead is None:
            self._ahead = at, ends
        elif _passed(self._ahead[1], kept):
            self._passed, self._ahead = self._ahead, (at, ends)
        return self._passed[0] if self._passed is not None else None


def _passed(ends: Offsets, kept: Offsets) -> bool:
    return all(kept.get(place, 0) >= end for place, end in ends.items())
