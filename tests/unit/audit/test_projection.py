"""Given an event, then these rows."""

import pytest

from services.audit.projection.lineage import unknown
from shared.events import audit, batches, deployer, feedback, monitor, registry
from shared.events.catalog import TYPES
from shared.events.codec import decode
from tests.replay.samples import PAYLOADS, sample
from tests.unit.audit.facts import (
    changed,
    day,
    deployed,
    edges,
    event,
    event_id,
    flagged,
    folded,
    logged,
    node,
    predictions,
    stored,
    traffic,
)

REF = registry.DatasetRef(dataset="flights-2013", version=1)
ON_LATE = {
    ("wasGeneratedBy", "deployment", "deployment/late"),
    ("wasDerivedFrom", "version", "version/flights@1"),
}
V1 = {"deployment": "late", "model": "flights", "version": 1}
WINDOW = {"window_start": day(1), "window_end": day(2)}
WINDOW_NODE = "window/late/1/2013-01-02T00:00:00.000000Z"


def on_late(node: str) -> set[tuple[str, ...]]:
    return {(node, *rest) for rest in ON_LATE}


def test_every_type_of_the_language_has_its_line():
    assert unknown(TYPES.values()) == []


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: type(payload).__name__)
def test_every_event_is_one_ledger_row_that_names_what_it_is_about(payload):
    record = stored(sample(payload))
    (row,) = folded([record])["ledger"]
    assert row["event_id"] == decode(record).id
    assert row["type"] == type(payload).__name__
    assert "/" in row["node"]
    assert (row["topic"], row["partition"], row["offset"]) == (record.topic, 0, 0)


def test_a_goal_and_its_kpi():
    goal = registry.GoalStated(goal="warn", question="late?", owner="ana")
    assert node(goal) == "goal/warn"
    assert edges(goal) == {("goal/warn", "wasAttributedTo", "owner", "actor/ana")}
    kpi = registry.KpiDefined(
        kpi="cost", goal="warn", unit="USD", direction="lower", formula=registry.Formula(kind="cost")
    )
    assert edges(kpi) == {("kpi/cost", "wasDerivedFrom", "goal", "goal/warn")}


def test_data_pipeline_and_run():
    assert node(registry.DatasetRegistered(dataset="flights-2013", version=1, uri="x")) == "dataset/flights-2013@1"
    assert node(registry.PipelineRegistered(pipeline="train")) == "pipeline/train"
    run = registry.PipelineRunRecorded(
        pipeline="train", run="r1", state="succeeded", started_at=day(0), inputs=(REF,), outputs=(REF,)
    )
    assert node(run) == "run/train/r1"
    assert edges(run) == {
        ("run/train/r1", "wasAssociatedWith", "plan", "pipeline/train"),
        ("run/r1", "alternateOf", "", "run/train/r1"),
        ("run/train/r1", "used", "input", "dataset/flights-2013@1"),
        ("dataset/flights-2013@1", "wasGeneratedBy", "output", "run/train/r1"),
    }


def test_a_model_and_its_version():
    model = registry.ModelRegistered(model="flights", goal="warn", owner="dan")
    assert edges(model) == {
        ("model/flights", "wasAttributedTo", "owner", "actor/dan"),
        ("model/flights", "wasDerivedFrom", "goal", "goal/warn"),
    }
    version = registry.ModelVersionRegistered(
        model="flights",
        version=2,
        artifact=registry.Artifact(uri="external:x", sha256=""),
        signature=registry.Signature(inputs=(), outputs=()),
        training_data=(REF,),
        pipeline_run="r1",
        parents=(1,),
    )
    assert node(version) == "version/flights@2"
    assert edges(version) == {
        ("version/flights@2", "specializationOf", "model", "model/flights"),
        ("version/flights@2", "wasDerivedFrom", "training_data", "dataset/flights-2013@1"),
        ("version/flights@2", "wasDerivedFrom", "parent", "version/flights@1"),
        ("version/flights@2", "wasGeneratedBy", "run", "run/r1"),
    }


def test_what_lets_a_version_through():
    evidence = registry.EvidenceRecorded(
        model="flights", version=1, evidence="e", kind="quality", name="auc", passed=True
    )
    assert edges(evidence) == {("evidence/e", "wasDerivedFrom", "evidence", "version/flights@1")}
    for kind in (registry.ApprovalGranted, registry.ApprovalRejected):
        approval = kind(model="flights", version=1, approval="a", role="risk_manager")
        assert edges(approval) == {("approval/a", "wasInfluencedBy", "approval", "version/flights@1")}
    gate = registry.GateChanged(model="flights", version=1, stage="production", allowed=True, rules=())
    assert edges(gate) == {("gate/flights@1/production", "wasDerivedFrom", "gate", "version/flights@1")}
    policy = registry.PolicyAdopted(stage="production", version=3, evidence=(), approvals=())
    assert (node(policy), edges(policy)) == ("policy/production@3", set())


def test_an_alias_states_where_it_is_and_that_it_is_gone_from_where_it_was():
    moved = registry.AliasMoved(model="flights", alias="champion", before=1, after=2)
    rows = folded([stored(event(1, moved, "model/flights", 1, happened=1))])["edges"]
    assert {(row["dst"], row["role"], row["scope"], row["present"]) for row in rows} == {
        ("version/flights@2", "champion", "alias:champion", True),
        ("version/flights@1", "champion", "alias:champion", False),
    }


def test_traffic_is_stated_whole_and_who_left_is_told():
    assert edges(deployed()) == {("deployment/late", "used", "champion", "version/flights@1")}
    change = changed(traffic(1, 2), traffic(2, shadows=(3,)))
    rows = folded([stored(event(1, change, "deployment/late", 2, happened=1))])["edges"]
    assert {(row["role"], row["dst"], row["present"]) for row in rows} == {
        ("champion", "version/flights@2", True),
        ("shadow", "version/flights@3", True),
        ("champion", "version/flights@1", False),
        ("challenger", "version/flights@2", False),
    }
    retired = deployer.Retired(deployment="late", model="flights", before=traffic(2))
    rows = folded([stored(event(1, retired, "deployment/late", 3, happened=1))])["edges"]
    assert [(row["dst"], row["present"]) for row in rows] == [("version/flights@2", False)]


def test_challengers_take_their_share_from_the_champion():
    rows = folded([stored(event(1, changed(traffic(1), traffic(1, 2)), "deployment/late", 2, happened=1))])["edges"]
    shares = {row["role"]: row["detail"]["percent"] for row in rows}
    assert shares == {"champion": 90.0, "challenger": 10.0}


def test_a_batch_of_predictions_with_ids_of_the_clients_own_is_indexed():
    batch = f"batch/{event_id(1)}"
    assert edges(logged(), table=predictions()) == on_late(batch)
    record = stored(event(1, logged(True), batch, 0, happened=5, table=predictions(["own-1", "own-2"])))
    rows = folded([record])["prediction_ids"]
    assert [(row["event_id"], row["row"], row["prediction_id"]) for row in rows] == [
        (event_id(1), 0, "own-1"),
        (event_id(1), 1, "own-2"),
    ]


def test_what_a_constant_answered_is_derived_from_the_constant_and_from_no_version():
    batch = f"batch/{event_id(1)}"
    assert edges(logged().model_copy(update={"fallback": "constant"}), table=predictions()) == {
        (batch, "wasGeneratedBy", "deployment", "deployment/late"),
        (batch, "wasDerivedFrom", "constant", "fallback/late"),
    }


def test_outcomes_and_their_join():
    joined = monitor.OutcomesJoined(**V1, rows=1, batches=("b1", "b2"), outcome_event="o")
    found = edges(joined, table=predictions())
    source = f"joined/{event_id(1)}"
    assert found == {
        (source, "wasDerivedFrom", "prediction", "batch/b1"),
        (source, "wasDerivedFrom", "prediction", "batch/b2"),
        (source, "wasDerivedFrom", "outcome", "outcome/o"),
    }


def test_a_window_what_drifted_in_it_and_which_kpi_broke():
    value = monitor.KpiValue(kpi="cost", unit="USD", total=1, cases=1, per_case=1)
    window = monitor.WindowMeasured(**V1, **WINDOW, revision=0, predictions=1, outcomes=1, kpis=(value,))
    assert node(window) == WINDOW_NODE
    assert edges(window) == on_late(WINDOW_NODE) | {(WINDOW_NODE, "wasInfluencedBy", "kpi", "kpi/cost")}
    drift = monitor.DriftDetected(**V1, **WINDOW, feature="hour", statistic="psi", value=1, threshold=0.2)
    source = f"drift/{event_id(1)}"
    assert edges(drift) == on_late(source) | {(source, "wasDerivedFrom", "window", WINDOW_NODE)}
    breach = monitor.KpiBreached(**V1, **WINDOW, kpi="cost", unit="USD", value=2, target=1)
    assert (f"breach/{event_id(1)}", "wasInfluencedBy", "kpi", "kpi/cost") in edges(breach)


def test_a_flag_points_at_its_prediction_once_it_is_placed():
    assert edges(flagged()) == {("flag/f", "wasDerivedFrom", "flagged", "prediction/own-1")}
    placed = flagged(batch=event_id(9), row=1, **V1)
    name = batches.prediction_id(event_id(9), 1)
    expected = on_late("flag/f") | {
        ("flag/f", "wasDerivedFrom", "flagged", f"prediction/{name}"),
        (f"prediction/{name}", "specializationOf", "row", f"batch/{event_id(9)}"),
    }
    assert edges(placed) == expected
    located = feedback.FlagLocated(flag="f", prediction_id="own-1", batch=event_id(9), row=1, **V1)
    assert edges(located) == expected


def test_what_becomes_of_a_flag():
    triaged = feedback.FlagTriaged(flag="f", assignee="dan", severity="low")
    assert edges(triaged) == {("flag/f", "wasAssociatedWith", "assignee", "actor/dan")}
    assert node(feedback.FlagCommented(flag="f", comment="x")) == "flag/f"
    assert node(feedback.FlagResolved(flag="f", resolution="model_defect", comment="x")) == "flag/f"
    breach = feedback.FlagThresholdBreached(**V1, open_flags=10, threshold=10)
    assert edges(breach) == on_late(f"breach/{event_id(1)}")


def test_a_verification_is_about_itself():
    payload = audit.VerificationCompleted(
        verification="v", outcome="equal", events=1, rows=1, digest_live="", digest_replayed=""
    )
    assert (node(payload), edges(payload)) == ("verification/v", set())
