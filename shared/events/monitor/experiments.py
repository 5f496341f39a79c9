"""Experiments: what was promised beforehand, and how they ended."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.registry import Formula, Part


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
