"""What is stated of a window once it is closed: its measure, and once each, what drifted and which target it missed."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

from services.monitor.domain.drift import FeatureDrift, Rule
from services.monitor.domain.integrity import Check
from services.monitor.domain.kpi import Kpi
from services.monitor.domain.multivariate import Multivariate
from services.monitor.domain.quality import Quality
from shared.events.envelope import Event, Payload
from shared.events.monitor import (
    Drift,
    DriftDetected,
    FairnessMeasured,
    IntegrityBreached,
    IntegrityCheck,
    KpiBreached,
    KpiValue,
    MultivariateDrift,
    RevisionCause,
    WindowMeasured,
)

ALL = "*"
"""The feature of a drift of all together."""

AUC = "domain_classifier_auc"


@dataclass(frozen=True, slots=True)
class Window:
    """Which window of which deployed version."""

    deployment: str
    model: str
    version: int
    start: datetime
    end: datetime

    @property
    def subject(self) -> str:
        return f"window/{self.deployment}/{self.version}/{self.start:%Y-%m-%dT%H:%M:%SZ}"


@dataclass(frozen=True, slots=True)
class Measure:
    """Command: this is what the window adds up to now. `kpis` in the order of `values`' names."""

    window: Window
    predictions: int
    outcomes: int
    drift: tuple[FeatureDrift, ...]
    quality: dict[str, float]
    values: tuple[KpiValue, ...]
    kpis: tuple[Kpi, ...]
    rule: Rule = field(default_factory=Rule)
    multivariate: Multivariate | None = None
    auc_threshold: float = 0.65
    integrity: tuple[Check, ...] = ()
    judged: Quality | None = None
    fairness: tuple[FairnessMeasured, ...] = ()
    estimated: Mapping[str, float] = field(default_factory=dict[str, float])
    estimated_intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])


@dataclass(frozen=True, slots=True)
class State:
    """What was stated of the window so far."""

    measured: WindowMeasured | None = None
    drifted: frozenset[str] = field(default_factory=frozenset[str])
    breached: frozenset[str] = field(default_factory=frozenset[str])
    broken: frozenset[tuple[str, str]] = field(default_factory=frozenset[tuple[str, str]])


initial = State()


def decide(state: State, command: Measure) -> Sequence[Payload]:
    """A revision where the measure changed; a drift, a breach or a missed target only where none was stated before."""
    measured = _measured(state, command)
    said: list[Payload] = []
    if state.measured is None or _figures(measured) != _figures(state.measured):
        said.append(measured)
    return [*said, *_drifts(state, command), *_broken(state, command), *_breaches(state, command)]


def evolve(state: State, event: Event) -> State:
    match event.data:
        case WindowMeasured() as measured:
            return replace(state, measured=measured)
        case DriftDetected(feature=feature):
            return replace(state, drifted=state.drifted | {feature})
        case IntegrityBreached(check=check, subject=subject):
            return replace(state, broken=state.broken | {(check, subject)})
        case KpiBreached(kpi=kpi):
            return replace(state, breached=state.breached | {kpi})
        case _:
            return state


def _measured(state: State, command: Measure) -> WindowMeasured:
    window = command.window
    return WindowMeasured(
        deployment=window.deployment,
        model=window.model,
        version=window.version,
        window_start=window.start,
        window_end=window.end,
        revision=0 if state.measured is None else state.measured.revision + 1,
        predictions=command.predictions,
        outcomes=command.outcomes,
        drift=tuple(Drift.model_validate(asdict(one)) for one in command.drift),
        quality=command.quality,
        kpis=command.values,
        multivariate=_multivariate(command.multivariate),
        integrity=tuple(IntegrityCheck.model_validate(asdict(one)) for one in command.integrity),
        cause=_cause(state.measured, command),
        fairness=command.fairness,
        estimated=dict(command.estimated),
        estimated_intervals=dict(command.estimated_intervals),
        **_judged(command.judged),
    )


def _judged(found: Quality | None) -> dict[str, Any]:
    if found is None:
        return {}
    told = {name: getattr(found, name) for name in ("task", "invalid", "unscored")}
    return told | {"intervals": dict(found.intervals)}


def _figures(measured: WindowMeasured) -> WindowMeasured:
    """A measure without what tells revisions apart, without the targets beside the figures, and without what other
    windows let expect."""
    kpis = tuple(one.model_copy(update={"direction": None, "target": None}) for one in measured.kpis)
    own: dict[str, Any] = {"revision": 0, "cause": None, "kpis": kpis, "estimated": {}, "estimated_intervals": {}}
    return measured.model_copy(update=own)


def _cause(before: WindowMeasured | None, command: Measure) -> RevisionCause:
    """What made the revision; of several causes the first in this order."""
    if before is None:
        return "closed"
    if before.predictions != command.predictions:
        return "late_predictions"
    if before.outcomes != command.outcomes:
        return "late_outcomes"
    return "corrected_outcomes" if before.quality != command.quality else "definitions"


def _multivariate(found: Multivariate | None) -> MultivariateDrift | None:
    return MultivariateDrift.model_validate({**asdict(found), "told_by": dict(found.told_by)}) if found else None


def _drifts(state: State, command: Measure) -> list[Payload]:
    reached = [(one, command.rule.reached(one)) for one in command.drift]
    found = [(one.feature, *what, one.adjusted_p_value) for one, what in reached if what is not None]
    together = command.multivariate
    if together is not None and together.auc >= command.auc_threshold and together.p_value <= command.rule.level:
        found.append((ALL, AUC, together.auc, command.auc_threshold, together.p_value))
    window = command.window
    return [
        DriftDetected(
            deployment=window.deployment,
            model=window.model,
            version=window.version,
            window_start=window.start,
            window_end=window.end,
            feature=feature,
            statistic=statistic,
            value=value,
            threshold=threshold,
            adjusted_p_value=p_value,
        )
        for feature, statistic, value, threshold, p_value in found
        if feature not in state.drifted
    ]


def _broken(state: State, command: Measure) -> list[Payload]:
    window = command.window
    return [
        IntegrityBreached(
            deployment=window.deployment,
            model=window.model,
            version=window.version,
            window_start=window.start,
            window_end=window.end,
            check=one.check,
            subject=one.subject,
            value=one.value,
            threshold=one.threshold,
        )
        for one in command.integrity
        if one.breached and (one.check, one.subject) not in state.broken
    ]


def _breaches(state: State, command: Measure) -> list[Payload]:
    window, targets = command.window, {kpi.name: kpi for kpi in command.kpis}
    return [
        KpiBreached(
            deployment=window.deployment,
            model=window.model,
            version=window.version,
            window_start=window.start,
            window_end=window.end,
            kpi=one.kpi,
            unit=one.unit,
            value=one.per_case,
            target=target,
        )
        for one in command.values
        if (target := targets[one.kpi].target) is not None
        and targets[one.kpi].breached(one.per_case)
        and one.kpi not in state.breached
    ]
