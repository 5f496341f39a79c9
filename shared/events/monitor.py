"""Facts that `monitor` owns: what was predicted, what came true, and what a window of both measured.

`PredictionLogged` is also written by `deployer`'s inference gateway: it is the one type with two writers (ADR 2).
"""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import BatchPayload, Payload
from shared.events.registry import Formula, Part, Task


class PredictionLogged(BatchPayload):
    """A batch of 1 to 10,000 predictions of one model version. Columns: see `shared.events.batches.PREDICTIONS`.

    `fallback`: `constant` where the deployment's constant answered in place of `version`, its champion, which failed:
    what the caller was told, and nothing that the model said.
    """

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    start: datetime
    end: datetime
    client_ids: bool = False
    fallback: Literal["", "constant"] = ""


class OutcomeLogged(BatchPayload):
    """A batch of outcomes as they were told. Columns: `shared.events.batches.OUTCOMES`."""

    OWNER: ClassVar[str] = "monitor"


class OutcomesJoined(BatchPayload):
    """Outcomes that met their predictions. Columns: `shared.events.batches.JOINED`.

    A correction is two rows: the old value with weight -1, the new one with weight +1, so that every sum stays exact.
    `batches` names the prediction batches touched; `outcome_event` the batch of outcomes that came in. Of shadows that
    were asked beside an answer whose outcome was known already it is empty, and `answered` names the answers' batches.
    """

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    batches: tuple[str, ...]
    outcome_event: str
    answered: tuple[str, ...] = ()


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


RevisionCause = Literal["closed", "late_predictions", "late_outcomes", "corrected_outcomes", "definitions"]


class WindowMeasured(MonitorPayload):
    """A closed window; `revision` counts from 0, later ones hold outcomes and predictions that came late.

    `cause`: what made the revision. `quality`: figures by name, of the kind that `task` names, with 95 % `intervals`;
    `invalid`: outcomes that are no answer to it; `unscored`: outcomes of predictions without a usable score.
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


class PredictionsRefused(MonitorPayload):
    """Predictions that intake refused for their rows, in the window of their arrival: all of it so far.

    `bodies`: requests, of which nothing was taken; `rows`: what came with them. `reasons`: by fault, `KIND:COLUMN`, the
    rows of the bodies that had it (kinds: absent, unknown, type, null, value, and codes of problems without a column);
    beyond a limit of names they are counted as `other`."""

    bodies: int
    rows: int
    reasons: dict[str, int]


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


class SubjectForgotten(Payload):
    """The key of a subject was destroyed, so that nothing of what it encrypted can be read any more. `subject`: the
    token that stands in the log in the person's place; nothing leads from it to the person."""

    OWNER: ClassVar[str] = "monitor"
    subject: str
    reason: str


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


class ExperimentArm(Part):
    """A version that takes part, and its share of the traffic of all arms together, 0 to 1."""

    version: int
    share: float


class Guardrail(Part):
    """What no treatment may harm. `kpi`: a case may cost no more than `limit` (in `unit`) beyond the control's by this
    cost KPI; `quality`: this figure may not be on the wrong side of `limit`. `direction`: which way is better."""

    name: str
    kind: Literal["kpi", "quality"]
    limit: float
    direction: Literal["lower", "higher"]
    unit: str = ""
    formula: Formula | None = None


class ArmResult(Part):
    """One arm of an experiment per case, in the KPI's unit. `difference`: minus the control's; `low` to `high`: its
    confidence sequence, and `p_value`, both valid whenever they are looked at. None: too few cases, or the control."""

    version: int
    predictions: int
    cases: int
    mean: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    p_value: float | None = None


class ExperimentStarted(Payload):
    """A comparison, registered before its data: `control` against `treatments` on what a case costs by a KPI as it was
    then (`formula`). Counted are windows from `counts_from` on. `minimum_effect`: the smallest difference per case that
    matters, in `unit`; `level`: chance of a false winner; `power`: chance to see an effect of that size once
    `planned_cases` of all arms are in (None: unknown, it runs until it is decided or stopped)."""

    OWNER: ClassVar[str] = "monitor"
    experiment: str
    deployment: str
    model: str
    kpi: str
    unit: str
    direction: Literal["lower", "higher"]
    formula: Formula
    control: ExperimentArm
    treatments: tuple[ExperimentArm, ...]
    minimum_effect: float
    level: float
    power: float
    planned_cases: int | None
    counts_from: datetime
    attribute: str = "segment"
    guardrails: tuple[Guardrail, ...] = ()
    hypothesis: str = ""


class GuardrailBreached(Payload):
    """A treatment surely harms what it may not. Stated once per experiment, version and guardrail."""

    OWNER: ClassVar[str] = "monitor"
    experiment: str
    deployment: str
    model: str
    version: int
    guardrail: str
    value: float
    limit: float
    unit: str
    cases: int


Verdict = Literal["treatment", "control", "equivalent", "inconclusive", "invalid", "interrupted", "stopped"]


class ExperimentConcluded(Payload):
    """How an experiment ended, and on what figures. `treatment`, `control`: who surely costs less, `version` the
    winner; `equivalent`: no difference of the minimum effect; `inconclusive`: the planned cases did not decide;
    `invalid`: the traffic was not shared as planned, with `sample_ratio_p_value`; `interrupted`: the arms' traffic was
    changed."""

    OWNER: ClassVar[str] = "monitor"
    experiment: str
    deployment: str
    model: str
    verdict: Verdict
    version: int | None
    reason: str
    results: tuple[ArmResult, ...] = ()
    sample_ratio_p_value: float | None = None
