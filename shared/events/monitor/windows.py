"""What a window of predictions and outcomes measured, and what that breached."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.monitor.parts import FairnessMeasured, KpiValue, MonitorPayload
from shared.events.registry import Part, Task


class Drift(Part):
    """How far one feature is from the version's reference. Formulas and units: docs/reference/statistics.md.

    `psi`: population stability index, natural logarithm. `jensen_shannon`: distance, base 2. `ks` and `wasserstein`
    (in the feature's unit; `_normed` in standard deviations of the reference) with how far the true figure may be off.
    `chi_square` with `degrees` of freedom. `p_value` of this feature's own test, `adjusted_p_value` over all features.
    `missing`, `new`: shares of rows. None: not of this kind of feature.
    """

    feature: str
    psi: float
    kind: Literal["numeric", "categorical"] | None = None
    rows: int = 0
    base_rows: int = 0
    jensen_shannon: float | None = None
    ks: float | None = None
    ks_error: float | None = None
    wasserstein: float | None = None
    wasserstein_error: float | None = None
    wasserstein_normed: float | None = None
    chi_square: float | None = None
    degrees: int | None = None
    p_value: float | None = None
    adjusted_p_value: float | None = None
    missing: float | None = None
    base_missing: float | None = None
    new: float | None = None


class MultivariateDrift(Part):
    """How well rows of the window are told from rows of the reference: area under the ROC curve, out of sample, and the
    chance of as much without drift. `told_by`: the features that told most, with their share."""

    auc: float
    p_value: float
    rows: int
    base_rows: int
    told_by: dict[str, float] = {}


class IntegrityCheck(Part):
    """One check of a window's data. `check`: schema, range, missing, new_categories, constant, duplicates, traffic.

    `subject`: the feature; of schema `KIND:COLUMN`; else empty. `value` and `threshold`: shares of rows, or of traffic
    how many times the usual."""

    check: str
    subject: str
    value: float
    threshold: float
    breached: bool


RevisionCause = Literal["closed", "late_predictions", "late_outcomes", "corrected_outcomes", "definitions"]


class WindowMeasured(MonitorPayload):
    """A closed window; `revision` counts from 0, later ones hold outcomes and predictions that came late.

    `cause`: what made the revision. `quality`: figures by name, of the kind that `task` names, with 95 % `intervals`;
    `invalid`: outcomes that are no answer to it; `unscored`: outcomes of predictions without a usable score.
    `estimated`: where outcomes are still too few, what the figures are to be expected to be, with intervals.
    """

    revision: int
    predictions: int
    outcomes: int
    drift: tuple[Drift, ...] = ()
    quality: dict[str, float] = {}
    kpis: tuple[KpiValue, ...] = ()
    cause: RevisionCause | None = None
    task: Task | None = None
    invalid: int = 0
    unscored: int = 0
    intervals: dict[str, tuple[float, float]] = {}
    fairness: tuple[FairnessMeasured, ...] = ()
    multivariate: MultivariateDrift | None = None
    integrity: tuple[IntegrityCheck, ...] = ()
    estimated: dict[str, float] = {}
    estimated_intervals: dict[str, tuple[float, float]] = {}


class DriftDetected(MonitorPayload):
    """A feature drifted: `value` of `statistic` is at least `threshold`, and chance over all features does not explain
    it (`adjusted_p_value`). `feature` "*": all features together, `statistic` domain_classifier_auc."""

    feature: str
    statistic: str
    value: float
    threshold: float
    adjusted_p_value: float | None = None


class IntegrityBreached(MonitorPayload):
    """A check of a window's data went over its threshold; fields as in `IntegrityCheck`. Stated once per window."""

    check: str
    subject: str
    value: float
    threshold: float


class DeploymentSilent(Payload):
    """No prediction of a deployment was recorded for `seconds`, by the clock, after `last_heard`."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    last_heard: datetime
    seconds: float


class DeploymentHeard(Payload):
    """A deployment that had been silent since `silent_since` is called again."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    silent_since: datetime
    heard: datetime


class KpiBreached(MonitorPayload):
    kpi: str
    unit: str
    value: float
    target: float
