"""A model's whole life for the tests of reports and exports, as the log brings it. Days count from DAY0."""

from dataclasses import dataclass

from shared.events import audit, deployer, feedback, monitor, registry
from shared.events.batches import prediction_id
from tests.component.audit_given import Story
from tests.support import System
from tests.unit.audit.facts import ARTIFACT, day, deployed, event_id, logged, predictions, traffic

BATCH, FLAG, EVIDENCE, APPROVED = (event_id(number) for number in (801, 802, 803, 804))
RAW = registry.DatasetRef(dataset="raw", version=1)
DATA = registry.DatasetRef(dataset="flights-2013", version=1)
CODE = registry.Code(
    repo="https://example.org/flights.git", commit="c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00", path="train.py"
)
HOSTILE = "<script>alert(1)</script> & \\ # $x$ [*not bold*] “quoted”"
"""Text that would break a renderer which does not escape."""


@dataclass(slots=True)
class Whole:
    """The story teller and the ids of some events."""

    story: Story
    ids: dict[str, str]


def version(number: int) -> registry.ModelVersionRegistered:
    inputs = (registry.Field(name="hour", type="double"), registry.Field(name="carrier", type="string", required=False))
    return registry.ModelVersionRegistered(
        model="flights",
        version=number,
        artifact=ARTIFACT,
        framework="scikit-learn",
        signature=registry.Signature(inputs=inputs, outputs=(registry.Field(name="probability", type="double"),)),
        params={"C": 1.0, "random_state": 2013},
        metrics={"auc": 0.7},
        training_data=(DATA,),
        pipeline_run="r1",
        code=CODE,
        parents=(number - 1,) if number > 1 else (),
        reference={"hour": (1.0, 2.0)},
        protected=(registry.Protected(name="carrier group", feature="carrier"),),
        description=f"attempt {number}",
    )


def window(number: int, version: int, start: float, auc: float, cost: float, psi: float) -> monitor.WindowMeasured:
    return monitor.WindowMeasured(
        deployment="late",
        model="flights",
        version=version,
        window_start=day(start),
        window_end=day(start + 1),
        revision=number,
        predictions=1000,
        outcomes=900,
        drift=(monitor.Drift(feature="hour", psi=psi), monitor.Drift(feature="carrier", psi=0.01)),
        intervals={"auc": (auc - 0.02, auc + 0.02)},
        quality={"auc": auc, "true_positives": 10, "false_positives": 5, "false_negatives": 4, "true_negatives": 881},
        kpis=(monitor.KpiValue(kpi="cost", unit="USD", total=cost * 900, cases=900, per_case=cost),),
    )


async def whole(system: System) -> Whole:
    """From the business question to a promotion on day 40, with everything that a report speaks of."""
    story, ids = Story(system), dict[str, str]()
    await _purpose(story)
    await _made(story)
    await _judged(story)
    await _used(story)
    promoted = deployer.Promoted(
        deployment="late", model="flights", before=traffic(1, 2), after=traffic(2), reason="cheaper by 3 USD"
    )
    ids["promoted"] = (await story.say("deployment/late", promoted, 40, actor="mia")).id
    late = registry.EvidenceRecorded(
        model="flights", version=2, evidence=event_id(899), kind="security", name="scan", passed=False, report="late"
    )
    await story.say("model/flights", late, 20, recorded=45, actor="sec", name=event_id(899))
    verified = audit.VerificationCompleted(
        verification="v", outcome="equal", events=40, rows=90, digest_live="a", digest_replayed="a"
    )
    await story.say("verification/v", verified, 41)
    await system.settle()
    return Whole(story, ids)


async def _purpose(story: Story) -> None:
    goal = registry.GoalStated(goal="warn", question="Will it be late?", owner="ana", decision="Warn the passengers.")
    await story.say("goal/warn", goal, 0)
    kpi = registry.KpiDefined(
        kpi="cost", goal="warn", unit="USD", direction="lower", target=40.0, description=HOSTILE,
        formula=registry.Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0),
    )  # fmt: skip
    await story.say("kpi/cost", kpi, 0)


async def _made(story: Story) -> None:
    raw = registry.DatasetRegistered(dataset="raw", version=1, uri="s3://bucket/raw.csv", digest="cd" * 32, rows=900)
    await story.say("dataset/raw", raw, 0)
    columns = (registry.Column(name="hour", type="double", description="of departure", sources=("raw.dep",)),)
    data = registry.DatasetRegistered(
        dataset="flights-2013",
        version=1,
        uri="file:///data/f.parquet",
        rows=800,
        columns=columns,
        description="cleaned",
    )
    await story.say("dataset/flights-2013", data, 0)
    steps = (registry.Step(name="fit", inputs=("flights-2013",), outputs=("model",)),)
    await story.say(
        "pipeline/train", registry.PipelineRegistered(pipeline="train", technique="logistic", steps=steps, code=CODE), 0
    )
    run = registry.PipelineRunRecorded(
        pipeline="train", run="r1", state="succeeded", started_at=day(0.2), ended_at=day(0.5), inputs=(RAW,),
        outputs=(DATA,), code=CODE, parameters={"C": 1.0},
    )  # fmt: skip
    await story.say("pipeline/train", run, 0.5)
    model = registry.ModelRegistered(model="flights", goal="warn", owner="dan", risk_tier="high", technique="linear")
    await story.say("model/flights", model, 1, actor="dan")
    await story.say("model/flights", version(1), 1, actor="dan")
    await story.say("model/flights", version(2), 3, actor="dan")


async def _judged(story: Story) -> None:
    for number, name in ((1, EVIDENCE), (2, event_id(813))):
        evidence = registry.EvidenceRecorded(
            model="flights",
            version=number,
            evidence=name,
            kind="quality",
            name="auc",
            passed=True,
            metrics={"auc": 0.71},
        )
        await story.say("model/flights", evidence, 3.5, name=name, actor="ci")
    for number, name in ((1, APPROVED), (2, event_id(814))):
        approval = registry.ApprovalGranted(
            model="flights",
            version=number,
            approval=name,
            role="risk_manager",
            comment="fine",
            conditions=("watch summer",),
        )
        await story.say("model/flights", approval, 3.6, actor="rita", name=name)
        rule = registry.Rule(rule="approval", passed=True, reason="rita approved", evidence=(name,))
        gate = registry.GateChanged(model="flights", version=number, stage="production", allowed=True, rules=(rule,))
        await story.say("model/flights", gate, 3.6, actor="rita")


async def _used(story: Story) -> None:
    await story.say("deployment/late", deployed(1), 4, actor="dev")
    await story.say(f"batch/{BATCH}", logged(), 5, actor="gate", table=predictions(), name=BATCH)
    for number in range(30):
        made = window(0, 1, 5 + number, 0.6 + number / 300, 35 + number, 0.05 + number / 50)
        subject = f"window/late/1/{day(5 + number):%Y-%m-%dT%H:%M:%SZ}"
        await story.say(subject, made, 6 + number, actor="monitor")
        if number > 20:
            common = {"deployment": "late", "model": "flights", "version": 1, "window_start": made.window_start}
            drift = monitor.DriftDetected(
                **common, window_end=made.window_end, feature="hour", statistic="psi", value=0.5, threshold=0.2
            )
            await story.say(subject, drift, 6 + number, actor="monitor")
            breach = monitor.KpiBreached(
                **common, window_end=made.window_end, kpi="cost", unit="USD", value=35.0 + number, target=40.0
            )
            await story.say(subject, breach, 6 + number, actor="monitor")
    await _alarms(story)
    flag = feedback.FeedbackFlagged(
        flag=FLAG, prediction_id=prediction_id(BATCH, 1), batch=BATCH, row=1, category="missed", severity="high",
        expected=1, comment=HOSTILE, deployment="late", model="flights", version=1,
    )  # fmt: skip
    await story.say(f"flag/{FLAG}", flag, 6.5, actor="sam", name=FLAG)


async def _alarms(story: Story) -> None:
    """An alert that was cleared, one that is open, a breached check, silence, and a retention."""
    window = {"deployment": "late", "model": "flights", "version": 1, "window_start": day(30), "window_end": day(31)}
    finding = (monitor.Finding(name="hour", statistic="psi", value=0.5, threshold=0.2),)
    for number, kind, happened in ((821, "drift", 32.0), (822, "kpi", 33.0)):
        alert = monitor.AlertRaised(
            **window,
            alert=event_id(number),
            kind=kind,
            since=day(30),
            windows=3,
            findings=finding,
            summary=f"{kind} thrice",
        )
        await story.say(f"alert/late/1/{kind}", alert, happened, actor="monitor", name=event_id(number))
    cleared = monitor.AlertCleared(**window, alert=event_id(821), kind="drift", windows=2, summary="calm again")
    await story.say("alert/late/1/drift", cleared, 36, actor="monitor")
    breached = monitor.IntegrityBreached(**window, check="missing", subject="hour", value=0.2, threshold=0.05)
    await story.say("integrity/late/1", breached, 32, actor="monitor")
    silent = monitor.DeploymentSilent(
        deployment="late", model="flights", version=1, last_heard=day(36), seconds=86_400.0
    )
    await story.say("silence/late", silent, 37, actor="monitor")
    await story.say("retention/late", monitor.RetentionSet(deployment="late", days=400, reason="law"), 4.2, actor="dev")
    expired = monitor.PredictionsExpired(deployment="late", before=day(4), days=400, rows=12, batches=1)
    await story.say("retention/late", expired, 38, actor="monitor")
