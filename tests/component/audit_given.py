"""The story that audit's tests ask about, as the log brings it from the other services. Days count from DAY0."""

from dataclasses import dataclass, field

import pyarrow as pa

from shared.events import batches, deployer, feedback, monitor, registry
from shared.events.catalog import topic_of
from shared.events.codec import encode
from shared.events.envelope import Event, Payload
from tests.support import System
from tests.unit.audit.facts import ARTIFACT, SIGNATURE, changed, day, deployed, event, event_id, predictions, traffic

BATCH, OWN_IDS, JOINED, CORRECTED, FLAG, REJECTED, APPROVED = (event_id(number) for number in range(901, 908))
V1 = {"deployment": "late", "model": "flights", "version": 1}
DATA = registry.DatasetRef(dataset="flights-2013", version=1)


@dataclass(slots=True)
class Story:
    """Publishes events, one subject after another, with places in their streams."""

    system: System
    number: int = 0
    sequences: dict[str, int] = field(default_factory=dict)

    async def say(
        self,
        subject: str,
        payload: Payload,
        happened: float,
        *,
        recorded: float | None = None,
        actor: str = "ana",
        table: pa.RecordBatch | None = None,
        name: str | None = None,
    ) -> Event:
        self.number += 1
        direct = subject.startswith(("batch/", "outcomes/"))
        self.sequences[subject] = 0 if direct else self.sequences.get(subject, 0) + 1
        stated = event(
            int(name.rpartition("-")[2], 16) if name else self.number,
            payload,
            subject,
            self.sequences[subject],
            happened=happened,
            recorded=recorded,
            actor=actor,
            table=table,
        )
        await self.system.log.publish(topic_of(payload), [encode(stated)])
        return stated


def version(number: int) -> registry.ModelVersionRegistered:
    return registry.ModelVersionRegistered(
        model="flights",
        version=number,
        artifact=ARTIFACT,
        signature=SIGNATURE,
        training_data=(DATA,),
        pipeline_run="r1",
        code=registry.Code(repo="git:flights", commit="c0ffee"),
        parents=(number - 1,) if number > 1 else (),
        reference={"hour": (1.0, 2.0)},
    )


def joined_rows(values: list[tuple[int, float, int]], at: float) -> pa.RecordBatch:
    """(row, value, weight) of BATCH."""
    return pa.record_batch(
        {
            "batch": [BATCH] * len(values),
            "row": pa.array([row for row, _, _ in values], pa.int32()),
            "at": pa.array([day(5)] * len(values), batches.TIMESTAMP),
            "outcome_at": pa.array([day(at)] * len(values), batches.TIMESTAMP),
            "value": pa.array([value for _, value, _ in values]),
            "weight": pa.array([weight for _, _, weight in values], pa.int8()),
        }
    )


async def told(system: System) -> Story:
    """A question, two versions, one deployed, predictions, truth, a flag, a promotion on day 10."""
    story = Story(system)
    await _registered(story)
    await _deployed_and_used(story)
    promoted = deployer.Promoted(deployment="late", model="flights", before=traffic(1, 2), after=traffic(2))
    await story.say("deployment/late", promoted, 10, actor="mia")
    await system.settle()
    return story


async def _registered(story: Story) -> None:
    await story.say("goal/warn", registry.GoalStated(goal="warn", question="late?", owner="ana"), 0)
    kpi = registry.KpiDefined(
        kpi="cost", goal="warn", unit="USD", direction="lower", formula=registry.Formula(kind="cost")
    )
    await story.say("kpi/cost", kpi, 0)
    await story.say("dataset/flights-2013", registry.DatasetRegistered(dataset="flights-2013", version=1, uri="x"), 0)
    await story.say("pipeline/train", registry.PipelineRegistered(pipeline="train", technique="logistic"), 0)
    run = registry.PipelineRunRecorded(
        pipeline="train",
        run="r1",
        state="succeeded",
        started_at=day(0),
        inputs=(DATA,),
        code=registry.Code(repo="g", commit="c"),
    )
    await story.say("pipeline/train", run, 0.5)
    await story.say("model/flights", registry.ModelRegistered(model="flights", goal="warn", owner="dan"), 1)
    await story.say("model/flights", version(1), 1, actor="dan")
    evidence = registry.EvidenceRecorded(
        model="flights", version=1, evidence=event_id(800), kind="quality", name="auc", passed=True
    )
    await story.say("model/flights", evidence, 1.5, name=event_id(800), actor="ci")
    for approval, kind, at in ((REJECTED, registry.ApprovalRejected, 1.6), (APPROVED, registry.ApprovalGranted, 2)):
        payload = kind(model="flights", version=1, approval=approval, role="risk_manager")
        await story.say("model/flights", payload, at, actor="rita", name=approval)
    rule = registry.Rule(rule="approval", passed=True, reason="rita approved", evidence=(APPROVED,))
    gate = registry.GateChanged(model="flights", version=1, stage="production", allowed=True, rules=(rule,))
    await story.say("model/flights", gate, 2, actor="rita")
    await story.say("model/flights", version(2), 3, actor="dan")


async def _deployed_and_used(story: Story) -> None:
    await story.say("deployment/late", deployed(1), 4, actor="dev")
    await story.say("deployment/late", changed(traffic(1), traffic(1, 2, shadows=(3,))), 4.5, actor="dev")
    logged = monitor.PredictionLogged(**V1, rows=2, start=day(5), end=day(5))
    await story.say(f"batch/{BATCH}", logged, 5, actor="gate", table=predictions(), name=BATCH)
    own = logged.model_copy(update={"client_ids": True})
    await story.say(f"batch/{OWN_IDS}", own, 5, table=predictions(["LH-1", "LH/2"]), name=OWN_IDS)
    joined = monitor.OutcomesJoined(**V1, rows=1, batches=(BATCH,), outcome_event="o1")
    await story.say("joined/late/1/0", joined, 6, table=joined_rows([(1, 0.0, 1)], 6), name=JOINED)
    flag = feedback.FeedbackFlagged(
        flag=FLAG,
        prediction_id=batches.prediction_id(BATCH, 1),
        batch=BATCH,
        row=1,
        category="wrong",
        severity="high",
        **V1,
    )
    await story.say(f"flag/{FLAG}", flag, 6.5, actor="sam", name=FLAG)
    await story.say("joined/late/1/0", joined, 7, table=joined_rows([(1, 0.0, -1), (1, 1.0, 1)], 7), name=CORRECTED)
    resolved = feedback.FlagResolved(flag=FLAG, resolution="model_defect", comment="known")
    await story.say(f"flag/{FLAG}", resolved, 8, actor="dan")
