"""Facts that `monitor` owns: what was predicted, what came true, and what a window of both measured.

`PredictionLogged` is also written by `deployer`'s inference gateway: it is the one type with two writers (ADR 2).
"""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import BatchPayload, Payload
from shared.events.registry import Part


class PredictionLogged(BatchPayload):
    """A batch of 1 to 10,000 predictions of one model version. Columns: see `shared.events.batches.PREDICTIONS`."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    start: datetime
    end: datetime
    client_ids: bool = False


class OutcomeLogged(BatchPayload):
    """A batch of outcomes as they were told. Columns: `shared.events.batches.OUTCOMES`."""

    OWNER: ClassVar[str] = "monitor"


class OutcomesJoined(BatchPayload):
    """Outcomes that met their predictions. Columns: `shared.events.batches.JOINED`.

    A correction is two rows: the old value with weight -1, the new one with weight +1, so that every sum stays exact.
    `batches` names the prediction batches touched; `outcome_event` the batch of outcomes that came in.
    """

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    batches: tuple[str, ...]
    outcome_event: str


class Drift(Part):
    """Population stability index of one feature (natural log, no unit) against the version's reference."""

    feature: str
    psi: float


class KpiValue(Part):
    """A KPI of a window: the sum over the window's joined cases, their number, and the value per case, in `unit`."""

    kpi: str
    unit: str
    total: float
    cases: int
    per_case: float


class MonitorPayload(Payload):
    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    window_start: datetime
    window_end: datetime


class WindowMeasured(MonitorPayload):
    """A closed window; `revision` counts from 0, later ones hold outcomes and predictions that came late."""

    revision: int
    predictions: int
    outcomes: int
    drift: tuple[Drift, ...] = ()
    quality: dict[str, float] = {}
    kpis: tuple[KpiValue, ...] = ()


class DriftDetected(MonitorPayload):
    feature: str
    statistic: str
    value: float
    threshold: float


class KpiBreached(MonitorPayload):
    kpi: str
    unit: str
    value: float
    target: float


class RetentionSet(Payload):
    """How long a deployment's predictions are kept in the archive, in days after they were made; 0: for ever."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    days: int
    reason: str = ""


class PredictionsExpired(Payload):
    """Predictions that ended before `before` left the archive, as the retention of `days` demands."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    before: datetime
    days: int
    rows: int
    batches: int


AlertKind = Literal["drift", "kpi", "quality", "integrity", "fairness", "traffic", "silence"]


class Finding(Part):
    """One thing that an alert is about: a feature, a KPI, …; `value` against `threshold`, both in `unit`, if any."""

    name: str
    statistic: str
    value: float
    threshold: float
    unit: str = ""


class AlertRaised(MonitorPayload):
    """So many windows in a row were over the threshold; `since`: when the first of them began. One alert is open per
    deployment, version and kind at a time; `alert` names it, and is the id of this event."""

    alert: str
    kind: AlertKind
    since: datetime
    windows: int
    findings: tuple[Finding, ...]
    summary: str


class AlertCleared(MonitorPayload):
    """So many windows in a row were below the level at which the alert clears."""

    alert: str
    kind: AlertKind
    windows: int
    summary: str


class AlertRouteAdded(Payload):
    """Who is told of alerts. `sealed`: the address, readable with the signing key alone; empty lists mean all."""

    OWNER: ClassVar[str] = "monitor"
    route: str
    name: str
    format: Literal["webhook", "slack"]
    host: str
    sealed: str
    deployments: tuple[str, ...] = ()
    kinds: tuple[AlertKind, ...] = ()


class AlertRouteRemoved(Payload):
    OWNER: ClassVar[str] = "monitor"
    route: str
    reason: str = ""
