"""When a window is closed: by the event time of its deployment, or, where no more of that comes, by the clock.

By event time a window closes as soon as predictions reach past its end and the time allowed for late ones. So a year
played in minutes closes its windows one after another, whatever the clock says. The clock closes what no later
prediction ever would: a window of our own day at its end, the time for late ones and a grace, and a window of the past
(a replay, a backfill) once its deployment has been silent for a while. It never does so before all input up to that
moment is counted. What comes later still makes a revision.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

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
