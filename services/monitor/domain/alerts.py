"""When an alert is raised, and when it clears: one at a time per deployment, version and kind; one stream for each.

It is raised where so many windows in a row, the newest among them, are over a threshold, and clears where so many since
are below the level at which it clears. What lies between does neither, so that a figure at the edge tells once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile

from shared.events.envelope import Event, Payload
from shared.events.monitor import AlertCleared, AlertKind, AlertRaised, Finding

NAMED = 3
MEASURED, ESTIMATED = QUALITY = ("quality", "estimated_quality")
"""Kinds of alerts about quality: by outcomes, and before they come."""

ALL, EVERY = "*", "all features together"
"""How drift names a finding about all features, and how people are told of it."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an alert is about."""

    deployment: str
    model: str
    version: int
    kind: AlertKind

    @property
    def subject(self) -> str:
        return f"alert/{self.deployment}/{self.version}/{self.kind}"


@dataclass(frozen=True, slots=True)
class Seen:
    """A window: what is over its threshold, whether anything else is too close to it to clear, and the event by which
    that was last told."""

    start: datetime
    end: datetime
    over: tuple[Finding, ...]
    near: bool
    told: str = ""


@dataclass(frozen=True, slots=True)
class Observe:
    """Command: the newest windows, the newest first. `alert` names the alert if one is raised."""

    target: Target
    seen: tuple[Seen, ...]
    raise_after: int
    clear_after: int
    alert: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Command: nothing came since `start`, or (`silent` False) something came at `start`."""

    target: Target
    silent: bool
    start: datetime
    end: datetime
    seconds: float
    alert: str


@dataclass(frozen=True, slots=True)
class Retire:
    """Command: the deployment was retired at this time, so that nothing more will tell of it."""

    target: Target
    at: datetime


@dataclass(frozen=True, slots=True)
class State:
    """The open alert, if any, the begin of the window that raised or cleared the last one, and the event that told of
    it: what is older and was not revised since, such as the windows of a replay, changes nothing. `told` None: what is
    older changes nothing, revised or not."""

    alert: str | None = None
    at: datetime | None = None
    told: str | None = None


initial = State()


def decide(state: State, command: Observe | Silence | Retire) -> Sequence[Payload]:
    """At most one fact: raised or cleared."""
    match command:
        case Observe() as windows:
            return _observed(state, windows)
        case Silence() as silence:
            return _silence(state, silence)
        case Retire(target=target, at=at):
            seen = Seen(at, at, (), False)
            told = Observe(target, (seen,), 1, 1, "")
            return [_cleared(state.alert, told, 0, "The deployment was retired.")] if state.alert is not None else []


def evolve(state: State, event: Event) -> State:
    match event.data:
        case AlertRaised(alert=alert, window_start=start):
            return State(alert, start, event.causationid)
        case AlertCleared(window_start=start, windows=windows):
            return State(None, start, event.causationid if windows else None)
        case _:
            return state


def summary(kind: AlertKind, findings: Sequence[Finding], windows: int) -> str:
    """What an alert says in one line."""
    names = [EVERY if one.name == ALL else one.name or one.statistic for one in findings]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    listed = ", ".join(names[:NAMED]) + more
    when = "in the last window" if windows == 1 else f"in {windows} windows in a row"
    match kind:
        case "drift":
            return f"Inputs drifted {when}: {listed}."
        case "kpi":
            return f"Targets were missed {when}: {listed}."
        case "fairness":
            return f"Groups were treated unequally {when}: {listed}."
        case "quality" | "estimated_quality":
            what = "Quality was" if kind == "quality" else "Quality, as estimated before outcomes come, was"
            return f"{what} worse than it should be {when}: {_figures(findings)}{more}."
        case "traffic":
            return f"The number of predictions was unusual {when}."
        case _:
            return f"Checks of the {kind} failed {when}: {listed}."


def _figures(findings: Sequence[Finding]) -> str:
    return ", ".join(f"{one.name} {one.value:.4g} ({compared(one)})" for one in findings[:NAMED])


def compared(finding: Finding) -> str:
    """What a figure of quality is compared with, in words."""
    was = "" if finding.base is None else f" {finding.base:.4g}"
    match finding.statistic:
        case "reference":
            return f"registered{was}"
        case "past":
            return f"windows before{was}"
        case "champion":
            return f"champion{was}"
        case _:
            return f"bound {finding.threshold:.4g}"


def _observed(state: State, command: Observe) -> list[Payload]:
    run = list(takewhile(lambda one: counts(state, one), command.seen))
    if state.alert is not None:
        return [_cleared(state.alert, command, len(run))] if run and len(run) >= command.clear_after else []
    return [_raised(command, run)] if run and len(run) >= command.raise_after else []


def counts(state: State, seen: Seen) -> bool:
    """Whether a window may be one of the row that raises or clears: fresh, and over, or calm where an alert is open.
    Windows before one that does not count do not matter."""
    wanted = bool(seen.over) if state.alert is None else not (seen.over or seen.near)
    return wanted and _fresh(state, seen)


def _fresh(state: State, seen: Seen) -> bool:
    """Whether a window is newer than what was decided last, or was revised since. Ids of events rise with time."""
    return state.at is None or seen.start > state.at or (state.told is not None and seen.told > state.told)


def _raised(command: Observe, over: Sequence[Seen], text: str = "") -> AlertRaised:
    target, newest = command.target, over[0]
    return AlertRaised(
        deployment=target.deployment,
        model=target.model,
        version=target.version,
        window_start=newest.start,
        window_end=newest.end,
        alert=command.alert,
        kind=target.kind,
        since=over[-1].start,
        windows=len(over),
        findings=newest.over,
        summary=text or summary(target.kind, newest.over, len(over)),
    )


def _cleared(alert: str, command: Observe, windows: int, text: str = "") -> AlertCleared:
    target, newest = command.target, command.seen[0]
    many = f"{windows} window{'s' if windows > 1 else ''}"
    return AlertCleared(
        deployment=target.deployment,
        model=target.model,
        version=target.version,
        window_start=newest.start,
        window_end=newest.end,
        alert=alert,
        kind=target.kind,
        windows=windows,
        summary=text or f"Nothing was over its threshold, or close to it, in {many}.",
    )


def _silence(state: State, command: Silence) -> list[Payload]:
    if state.at is not None and command.start < state.at:
        return []
    if command.silent and state.alert is None:
        found = Finding(name="", statistic="silent", value=command.seconds, threshold=command.seconds, unit="s")
        text = f"No prediction came for {command.seconds:,.0f} s, since {command.start:%Y-%m-%d %H:%M:%SZ}."
        seen = Seen(command.start, command.end, (found,), False)
        return [_raised(Observe(command.target, (seen,), 1, 1, command.alert), [seen], text)]
    if not command.silent and state.alert is not None:
        seen = Seen(command.start, command.end, (), False)
        return [_cleared(state.alert, Observe(command.target, (seen,), 1, 1, ""), 0, "Predictions come again.")]
    return []
