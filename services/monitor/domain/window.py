"""What is stated of a window once it is closed: its measure, and once each, what drifted and which target it missed."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.monitor.domain.drift import MIN_ROWS, FeatureDrift
from services.monitor.domain.kpi import Kpi
from shared.events.envelope import Event, Payload
from shared.events.monitor import Drift, DriftDetected, KpiBreached, KpiValue, WindowMeasured


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
    psi_threshold: float


@dataclass(frozen=True, slots=True)
class State:
    """What was stated of the window so far."""

    measured: WindowMeasured | None = None
    drifted: frozenset[str] = field(default_factory=frozenset[str])
    breached: frozenset[str] = field(default_factory=frozenset[str])


initial = State()


def decide(state: State, command: Measure) -> Sequence[Payload]:
    """A revision where the measure changed; a drift or a missed target only where none was stated before."""
    measured = _measured(state, command)
    said: list[Payload] = []
    if state.measured is None or measured != state.measured.model_copy(update={"revision": measured.revision}):
        said.append(measured)
    return [*said, *_drifts(state, command), *_breaches(state, command)]


def evolve(state: State, event: Event) -> State:
    match event.data:
        case WindowMeasured() as measured:
            return replace(state, measured=measured)
        case DriftDetected(feature=feature):
            return replace(state, drifted=state.drifted | {feature})
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
        drift=tuple(Drift(feature=one.feature, psi=one.psi) for one in command.drift),
        quality=command.quality,
        kpis=command.values,
    )


def _drifts(state: State, command: Measure) -> list[Payload]:
    window = command.window
    return [
        DriftDetected(
            deployment=window.deployment,
            model=window.model,
            version=window.version,
            window_start=window.start,
            window_end=window.end,
            feature=one.feature,
            statistic="psi",
            value=one.psi,
            threshold=command.psi_threshold,
        )
        for one in command.drift
        if drifted(one, command.psi_threshold) and one.feature not in state.drifted
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


def drifted(one: FeatureDrift, threshold: float) -> bool:
    """Whether a PSI says drift: at or over the threshold, and of enough rows."""
    return one.rows >= MIN_ROWS and one.psi >= threshold
