"""What several facts of the monitor are made of."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.registry import Part


class KpiValue(Part):
    """A KPI of a window: the sum over the window's joined cases, their number, and the value per case, in `unit`.

    `direction`: which way is better, and `target`: of the value per case, as they were when it was measured; without a
    `direction` it was not stated.
    """

    kpi: str
    unit: str
    total: float
    cases: int
    per_case: float
    direction: Literal["lower", "higher"] | None = None
    target: float | None = None


class MonitorPayload(Payload):
    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    window_start: datetime
    window_end: datetime


class FairnessMeasured(Part):
    """One protected attribute: the widest `disparities` between its groups by their names (fairlearn's definitions),
    and the groups whose selection is surely under four fifths of the highest (`adverse`)."""

    attribute: str
    disparities: dict[str, float] = {}
    adverse: tuple[str, ...] = ()
