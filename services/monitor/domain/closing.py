"""When a window is closed: by the event time of its deployment, or, where no more of that comes, by the clock.

By event time a window closes as soon as predictions reach past its end and the time allowed for late ones. So a year
played in minutes closes its windows one after another, whatever the clock says. The clock closes what no later
prediction ever would: a window of our own day at its end, the time for late ones and a grace, and a window of the past
(a replay, a backfill) once its deployment has been silent for a while. It never does so before all input up to that
moment is counted. What comes later still makes a revision.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeVar

Place = TypeVar("Place")

By = Literal["event time", "clock", "silence"]


@dataclass(frozen=True, slots=True)
class Closing:
    """`lateness`: how long after its end, in event time, a window is open; `grace`: how much longer by the clock;
    `idle`: how long a deployment is silent before the clock closes windows of the past."""

    lateness: timedelta
    grace: timedelta
    idle: timedelta

    def by(
        self,
        end: datetime,
        reached: datetime | None,
        since: datetime | None,
        heard: datetime | None,
        counted: datetime | None,
    ) -> By | None:
        """What closes a window that ends at `end`; None: it is open.

        `reached`: the event time of its deployment. By the clock: `since`, when the log took the first of what the
        window holds; `heard`, when it took the last of the deployment; `counted`, up to when all that the log took is
        counted. None: not known.
        """
        if reached is not None and end + self.lateness <= reached:
            return "event time"
        due = self.due(end)
        if counted is None or counted < due:
            return None
        if since is not None and since < due:
            return "clock"
        return "silence" if heard is not None and heard + self.idle <= counted else None

    def due(self, end: datetime) -> datetime:
        """When the clock closes a window that was open then; what the log took first after that is of the past."""
        return end + self.lateness + self.grace


@dataclass(frozen=True, slots=True)
class Mark:
    """How far event time has come for a deployment in one partition: `at`. By the log's clock: `heard`, when it took
    the last prediction there, and `since`, when it took the first by which the same windows are closed as by `at`.
    None: not known."""

    at: datetime
    heard: datetime | None
    since: datetime | None

    def further(self, then: "Mark", window_seconds: float, lateness_seconds: float) -> "Mark":
        """This mark and one that the log took after it."""
        at, heard = max(self.at, then.at), max((one for one in (self.heard, then.heard) if one), default=None)
        closes = [(one.timestamp() - lateness_seconds) // window_seconds for one in (self.at, at)]
        return Mark(at, heard, self.since if closes[0] == closes[1] else then.since)


def reached(marks: Mapping[Place, Mark], behind: Collection[Place], passed: datetime | None) -> datetime | None:
    """How far event time has come for a deployment, by its marks in all partitions. None: not known yet.

    A partition that is read to its end holds nothing back. One that is not (`behind`) may hold predictions that are
    older than what others brought, so it holds back at its own mark. But a busy log is never read to its end: what the
    log took before `passed` counts whatever waits, since up to that moment every partition is read.
    """
    known = [one.at for one in marks.values() if passed is not None and one.since is not None and one.since < passed]
    if marks and all(place in marks for place in behind):
        known.append(min([max(one.at for one in marks.values()), *(marks[place].at for place in behind)]))
    return max(known, default=None)


def passed(heard: Mapping[Place, datetime], behind: Collection[Place], counted: datetime | None) -> datetime | None:
    """Up to when (by the log's clock, not included) every partition is read. `heard`: when the log took the last that
    is read of some partitions, which are read in the log's order. None: not known."""
    if behind and all(place in heard for place in behind):
        least = min(heard[place] for place in behind)
        return least if counted is None else max(least, counted)
    return counted
