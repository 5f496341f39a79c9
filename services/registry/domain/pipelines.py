"""Pipelines and their runs: which steps made which data and models, and when. Stream `pipeline/{name}`."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from immutables import Map

from services.registry.domain.frozen import differences, register_once
from services.registry.domain.names import check_name
from shared.events.envelope import Event, Payload
from shared.events.plain import not_plain
from shared.events.refusal import Refused
from shared.events.registry import PipelineRegistered, PipelineRunRecorded


@dataclass(frozen=True, slots=True)
class PipelineState:
    """`runs`: one more shares all else with those before, so that ten thousand cost no more than ten."""

    registered: PipelineRegistered | None = None
    runs: Map[str, PipelineRunRecorded] = field(default_factory=Map[str, PipelineRunRecorded])


initial = PipelineState()


@dataclass(frozen=True, slots=True)
class RegisterPipeline:
    """`supersedes`: may say something else than was registered, which stays on record (what schedulers report)."""

    pipeline: PipelineRegistered
    supersedes: bool = False


@dataclass(frozen=True, slots=True)
class RecordRun:
    """`supersedes`: may tell more of a run that has ended: events about it come in any order."""

    run: PipelineRunRecorded
    supersedes: bool = False


def decide(state: PipelineState, command: RegisterPipeline | RecordRun) -> Sequence[Payload]:
    """Raises Refused: bad name, registered otherwise, unknown pipeline, a run that has ended already."""
    match command:
        case RegisterPipeline(pipeline, supersedes):
            check_name("pipeline", pipeline.pipeline)
            if supersedes and state.registered is not None:
                return [pipeline] if differences(state.registered, pipeline) else []
            return register_once(state.registered, pipeline, "pipeline", pipeline.pipeline)
        case RecordRun(run, supersedes):
            return _record(state, run, supersedes)


def evolve(state: PipelineState, event: Event) -> PipelineState:
    match event.data:
        case PipelineRegistered():
            return replace(state, registered=event.data)
        case PipelineRunRecorded(run=run):
            return replace(state, runs=state.runs.set(run, event.data))
        case _:
            return state


def _record(state: PipelineState, run: PipelineRunRecorded, supersedes: bool) -> Sequence[Payload]:
    if state.registered is None:
        raise Refused("unknown-pipeline", f"There is no pipeline '{run.pipeline}'.", status=404)
    check_name("run", run.run)
    if reason := not_plain(run.parameters, "parameters"):
        raise Refused("not-plain", f"{reason}.", status=422)
    if run.ended_at is not None and run.ended_at < run.started_at:
        raise Refused("bad-run", "The run ends before it starts.", status=422)
    if run.state == "running" and run.ended_at is not None:
        raise Refused("bad-run", "A run that is still running has no end.", status=422)
    before = state.runs.get(run.run)
    if before is None:
        return [run]
    if not (changed := differences(before, run)):
        return []
    if before.state != "running" and not supersedes:
        raise Refused(
            "already-registered",
            f"The run '{run.run}' has ended as {before.state}; it does not change any more.",
            differences=changed,
        )
    return [run]
