"""The experiments of one deployment: one at a time, registered before its data, judged until it ends. One stream per
deployment, `experiments/{deployment}`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from services.monitor.domain.experiment_judging import Breach, Decided
from shared.events.envelope import Event, Payload
from shared.events.monitor import ArmResult, ExperimentConcluded, ExperimentStarted, GuardrailBreached
from shared.events.refusal import Refused


def _none() -> frozenset[str]:
    return frozenset()


@dataclass(frozen=True, slots=True)
class State:
    """`running`: the plan of the experiment that goes on; `broken`: (version, guardrail) already told of it."""

    running: ExperimentStarted | None = None
    broken: frozenset[tuple[int, str]] = frozenset()
    names: frozenset[str] = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class Start:
    """Command: register this plan."""

    plan: ExperimentStarted


@dataclass(frozen=True, slots=True)
class Judge:
    """Command: this is what the cases of an experiment say up to now."""

    experiment: str
    results: tuple[ArmResult, ...]
    ratio: float
    breaches: tuple[Breach, ...]
    decided: Decided | None


@dataclass(frozen=True, slots=True)
class Stop:
    """Command: end it by hand."""

    experiment: str
    reason: str
    results: tuple[ArmResult, ...] = ()
    ratio: float | None = None


initial = State()


def subject_of(deployment: str) -> str:
    """The stream of a deployment's experiments."""
    return f"experiments/{deployment}"


def decide(state: State, command: Start | Judge | Stop) -> Sequence[Payload]:
    """What follows. Raises Refused."""
    match command:
        case Start(plan=plan):
            return _start(state, plan)
        case Judge():
            return _judge(state, command)
        case Stop():
            plan = state.running
            if plan is None or plan.experiment != command.experiment:
                raise Refused("not-running", f"Experiment '{command.experiment}' does not run.")
            told = Decided("stopped", None, command.reason or "Stopped by hand.")
            return [_concluded(plan, told, command.results, command.ratio)]


def evolve(state: State, event: Event) -> State:
    match event.data:
        case ExperimentStarted() as plan:
            return State(plan, frozenset(), state.names | {plan.experiment})
        case GuardrailBreached(version=version, guardrail=name):
            return replace(state, broken=state.broken | {(version, name)})
        case ExperimentConcluded():
            return replace(state, running=None)
        case _:
            return state


def _start(state: State, plan: ExperimentStarted) -> list[Payload]:
    if state.running is not None:
        if state.running.model_copy(update={"counts_from": plan.counts_from}) == plan:
            return []
        detail = f"Experiment '{state.running.experiment}' runs on '{plan.deployment}': one at a time, stop it first."
        raise Refused("experiment-running", detail, running=state.running.experiment)
    if plan.experiment in state.names:
        detail = f"There was an experiment '{plan.experiment}' on '{plan.deployment}'; results of two must not mix."
        raise Refused("experiment-exists", detail)
    if len({one.version for one in (plan.control, *plan.treatments)}) <= len(plan.treatments):
        raise Refused("two-roles", "A version takes part more than once.", status=422)
    if min(one.share for one in (plan.control, *plan.treatments)) <= 0:
        raise Refused("no-share", "Every arm needs a share of the traffic; set the traffic first.")
    return [plan]


def _judge(state: State, command: Judge) -> list[Payload]:
    plan = state.running
    if plan is None or plan.experiment != command.experiment:
        return []
    stated: list[Payload] = [
        GuardrailBreached(
            experiment=plan.experiment,
            deployment=plan.deployment,
            model=plan.model,
            version=one.version,
            guardrail=one.guardrail.name,
            value=one.value,
            limit=one.guardrail.limit,
            unit=one.guardrail.unit,
            cases=one.cases,
        )
        for one in command.breaches
        if (one.version, one.guardrail.name) not in state.broken
    ]
    if command.decided is not None:
        stated.append(_concluded(plan, command.decided, command.results, command.ratio))
    return stated


def _concluded(
    plan: ExperimentStarted, told: Decided, results: tuple[ArmResult, ...], ratio: float | None
) -> ExperimentConcluded:
    return ExperimentConcluded(
        experiment=plan.experiment,
        deployment=plan.deployment,
        model=plan.model,
        verdict=told.verdict,
        version=told.version,
        reason=told.reason,
        results=results,
        sample_ratio_p_value=ratio,
    )
