"""What auditors ask over HTTP, of a log in memory."""

from collections.abc import AsyncIterator

import pytest

from services.audit.service import DEFINITION
from shared.events import deployer, registry
from shared.events.batches import prediction_id
from shared.log.records import Outgoing
from shared.log.tables import Delete, Put
from tests.component.audit_given import APPROVED, BATCH, CORRECTED, FLAG, JOINED, OWN_IDS, REJECTED, Story, told
from tests.support import System, running
from tests.unit.audit.facts import changed, day, event_id, traffic

PREDICTION = prediction_id(BATCH, 1)


@pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
async def system(request) -> AsyncIterator[System]:
    async with running(DEFINITION, partitions=request.param) as system:
        yield system


@pytest.fixture
async def story(system: System) -> Story:
    return await told(system)


def moment(number: float) -> str:
    return day(number).isoformat()


async def get(system: System, path: str, **parameters) -> dict:
    response = await system.client.get(path, params=parameters)
    assert response.status_code == 200, response.text
    return response.json()


async def problem(system: System, path: str, status: int, code: str, **parameters) -> dict:
    response = await system.client.get(path, params=parameters)
    assert response.status_code == status, response.text
    assert response.json()["type"].endswith(f":{code}")
    return response.json()


def names(nodes) -> set[str]:
    return {f"{node['kind']}/{node['id']}" for node in nodes}


async def test_one_prediction_and_everything_behind_it(system: System, story: Story):
    answer = await get(system, f"/v1/lineage/prediction/{PREDICTION}")
    prediction = answer["prediction"]
    assert (prediction["batch"], prediction["row"], prediction["version"]) == (BATCH, 1, 1)
    assert (prediction["features"], prediction["outputs"]) == ({"hour": 23.0}, {"probability": 0.9})
    assert prediction["at"] == "2013-01-06T00:00:00Z"
    assert answer["goal"]["attributes"]["question"] == "late?"
    assert names(answer["kpis"]) == {"kpi/cost"}
    assert names(answer["training_data"]) == {"dataset/flights-2013@1"}
    assert names(answer["runs"]) == {"run/train/r1"}
    assert answer["code"]["commit"] == "c0ffee"
    assert [node["attributes"]["name"] for node in answer["evidence"]] == ["auc"]
    approvals = [(one["id"], one["decision"], one["by"]) for one in answer["approvals"]]
    assert approvals == [(REJECTED, "reject", "rita"), (APPROVED, "approve", "rita")]
    assert answer["gate"]["stages"]["production"]["allowed"] is True
    assert answer["gate"]["stages"]["production"]["rules"][0]["reason"] == "rita approved"
    assert names(answer["flags"]) == {f"flag/{FLAG}"}
    assert answer["flags"][0]["resolution"] == "model_defect"
    assert [step["actor"] for step in answer["flags"][0]["history"]] == ["sam", "dan"]
    assert (answer["outcome"]["value"], answer["outcome"]["event_id"]) == (1.0, CORRECTED)
    assert answer["truncated"] is False


async def test_the_traffic_is_that_of_the_prediction_s_own_time(system: System, story: Story):
    traffic_then = (await get(system, f"/v1/lineage/prediction/{PREDICTION}"))["traffic"]
    assert traffic_then["champion"]["version"] == 1
    assert traffic_then["champion"]["deployed_by"] == "dev"
    assert [one["version"] for one in traffic_then["challengers"]] == [2]
    assert [one["version"] for one in traffic_then["shadows"]] == [3]


async def test_a_prediction_as_it_was_known_that_day(system: System, story: Story):
    path = f"/v1/lineage/prediction/{PREDICTION}"
    at_once = await get(system, path, known_at=moment(5.5))
    assert (at_once["outcome"], at_once["flags"]) == (None, [])
    first = await get(system, path, known_at=moment(6.6))
    assert (first["outcome"]["value"], first["outcome"]["event_id"]) == (0.0, JOINED)
    assert first["flags"][0]["resolution"] is None
    await problem(system, path, 404, "unknown-prediction", known_at=moment(4))


async def test_a_prediction_by_its_client_s_own_id(system: System, story: Story):
    answer = await get(system, "/v1/lineage/prediction/LH-1")
    assert (answer["prediction"]["batch"], answer["prediction"]["row"]) == (OWN_IDS, 0)
    assert (await get(system, "/v1/lineage/prediction/LH/2"))["prediction"]["row"] == 1


async def test_predictions_that_are_not_there(system: System, story: Story):
    unknown = await problem(system, "/v1/lineage/prediction/nobody", 404, "unknown-prediction")
    assert "No prediction exists yet" not in unknown["fix"], "there are some"
    await problem(system, f"/v1/lineage/prediction/{event_id(5000)}-0", 404, "unknown-prediction")
    beyond = await problem(system, f"/v1/lineage/prediction/{BATCH}-7", 404, "unknown-prediction")
    assert "2 rows" in beyond["detail"]


async def test_up_goes_to_the_goal_and_down_to_what_came_from_it(system: System, story: Story):
    up = await get(system, "/v1/lineage/version/flights@1", direction="up")
    assert {"model/flights", "goal/warn", "dataset/flights-2013@1", "run/train/r1", "pipeline/train"} <= names(
        up["nodes"]
    )
    assert f"evidence/{event_id(800)}" not in names(up["nodes"])
    down = await get(system, "/v1/lineage/version/flights@1", direction="down", depth=1)
    assert {f"evidence/{event_id(800)}", f"approval/{APPROVED}", f"batch/{BATCH}", "version/flights@2"} <= names(
        down["nodes"]
    )
    assert "goal/warn" not in names(down["nodes"])
    (used,) = [edge for edge in up["edges"] if edge["role"] == "training_data"]
    assert (used["relation"], used["valid_from"]) == ("wasDerivedFrom", "2013-01-02T00:00:00Z")


async def test_an_edge_that_ended_is_no_more(system: System, story: Story):
    def deployments(answer):
        return [edge["role"] for edge in answer["edges"] if edge["src"] == "deployment/late"]

    path = "/v1/lineage/version/flights@1"
    assert deployments(await get(system, path, direction="down", depth=1, at=moment(9))) == ["champion"]
    assert deployments(await get(system, path, direction="down", depth=1, at=moment(11))) == []
    assert deployments(await get(system, path, direction="down", depth=1, known_at=moment(9))) == ["champion"]


async def test_what_an_actor_did(system: System, story: Story):
    answer = await get(system, "/v1/lineage/actor/rita", direction="down", depth=1)
    assert {f"approval/{APPROVED}", "gate/flights@1/production"} <= names(answer["nodes"])


async def test_limits_of_a_walk_are_told():
    async with running(DEFINITION, lineage_max_nodes=4) as system:
        await told(system)
        answer = await get(system, "/v1/lineage/goal/warn")
        assert (len(answer["nodes"]), answer["truncated"]) == (4, True)
        await problem(system, "/v1/lineage/goal/warn", 422, "invalid-request", depth=10_000)


async def test_unknown_things_times_and_kinds(system: System, story: Story):
    assert (await problem(system, "/v1/lineage/goal/wran", 404, "unknown-goal"))["nearby"] == ["warn"]
    await problem(system, "/v1/lineage/unicorn/x", 404, "unknown-kind")
    await problem(system, "/v1/lineage/goal/warn", 404, "unknown-goal", known_at=moment(-1))
    await problem(system, "/v1/lineage/goal/warn", 422, "time-without-zone", at="2013-01-01T00:00:00")
    await problem(system, "/v1/lineage/goal/warn", 422, "invalid-request", at="yesterday")
    await problem(system, "/v1/events", 422, "bad-cursor", cursor="nonsense")
    await problem(system, "/v1/timeline/goal/warn", 422, "bad-cursor", cursor="nonsense")
    await problem(system, f"/v1/events/{event_id(5000)}", 404, "unknown-event")
    await problem(system, "/v1/verifications/none", 404, "unknown-verification")


async def test_the_estate_before_and_after_the_promotion(system: System, story: Story):
    (before,) = (await get(system, "/v1/estate", at=moment(9)))["items"]
    assert (before["deployment"], before["environment"], before["goal"]) == ("late", "production", "warn")
    champion = before["champion"]
    assert (champion["version"], champion["since"], champion["deployed_by"]) == (1, "2013-01-05T00:00:00Z", "dev")
    assert champion["approvals"][-1]["by"] == "rita"
    assert champion["gate"]["production"]["allowed"] is True
    assert [(one["version"], one["percent"]) for one in before["challengers"]] == [(2, 10.0)]
    (after,) = (await get(system, "/v1/estate"))["items"]
    assert (after["version"], after["since"], after["deployed_by"]) == (2, "2013-01-11T00:00:00Z", "mia")
    assert (after["challengers"], after["shadows"], after["champion"]["approvals"]) == ([], [], [])
    assert (await get(system, "/v1/estate", at=moment(3)))["items"] == []
    (unknown,) = (await get(system, "/v1/estate", at=moment(11), known_at=moment(9)))["items"]
    assert unknown["version"] == 1


async def test_a_backdated_change_is_told_apart_from_what_was_known(system: System, story: Story):
    await story.say("deployment/late", changed(traffic(2), traffic(1)), 11, recorded=20)
    await system.settle()
    (now,) = (await get(system, "/v1/estate", at=moment(12)))["items"]
    (then,) = (await get(system, "/v1/estate", at=moment(12), known_at=moment(13)))["items"]
    assert (now["version"], then["version"]) == (1, 2)
    items = (await get(system, "/v1/timeline/deployment/late"))["items"]
    assert [one["backdated"] for one in items if one["type"] == "TrafficChanged"] == [False, True]


async def test_a_timeline_in_pages(system: System, story: Story):
    whole = (await get(system, "/v1/timeline/version/flights@1"))["items"]
    assert [item["time"] for item in whole] == sorted(item["time"] for item in whole)
    types = [item["type"] for item in whole]
    assert {"ModelVersionRegistered", "EvidenceRecorded", "Deployed", "Promoted", "FeedbackFlagged"} <= set(types)
    assert "PredictionLogged" not in types
    paged, cursor = [], None
    while True:
        page = await get(system, "/v1/timeline/version/flights@1", limit=2, **({"cursor": cursor} if cursor else {}))
        paged += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert paged == whole
    some = await get(system, "/v1/timeline/version/flights@1", **{"from": moment(1.5), "to": moment(2)})
    assert {item["type"] for item in some["items"]} == {
        "EvidenceRecorded",
        "ApprovalRejected",
        "ApprovalGranted",
        "GateChanged",
    }


async def test_the_timeline_of_a_prediction(system: System, story: Story):
    items = (await get(system, f"/v1/timeline/prediction/{PREDICTION}"))["items"]
    assert [item["type"] for item in items] == [
        "PredictionLogged",
        "OutcomesJoined",
        "FeedbackFlagged",
        "OutcomesJoined",
    ]


async def test_events_by_type_subject_actor_and_time(system: System, story: Story):
    def ids(page):
        return [event["type"] for event in page["items"]]

    assert ids(await get(system, "/v1/events", type="Promoted")) == ["Promoted"]
    assert ids(await get(system, "/v1/events", subject="deployment/late", limit=2)) == ["Deployed", "TrafficChanged"]
    assert set(ids(await get(system, "/v1/events", actor="rita"))) == {
        "ApprovalRejected",
        "ApprovalGranted",
        "GateChanged",
    }
    late = await get(system, "/v1/events", **{"from": moment(8)})
    assert ids(late)[:2] == ["FlagResolved", "Promoted"]
    event = late["items"][0]
    one = await get(system, f"/v1/events/{event['id']}")
    assert one == event
    assert one["specversion"] == "1.0"
    assert one["ledger"]["topic"] == "muniment.feedback"


async def test_a_batch_sent_again_is_entered_once(system: System, story: Story):
    (batch,) = [row for row in await system.log.read(*await place_of(system, BATCH)) if row.value]
    await system.log.publish(batch.topic, [Outgoing(batch.key, batch.headers, batch.value)])
    await system.settle()
    assert len((await get(system, "/v1/events", subject=f"batch/{BATCH}"))["items"]) == 1
    assert (await verified(system))["outcome"] == "equal"


async def place_of(system: System, event: str):
    row = await system.stores["audit"].get("ledger", event)
    assert row is not None
    place = next(one for one in await system.log.bounds([row["topic"]]) if one.partition == row["partition"])
    return place, row["offset"]


def recorded(system: System) -> int:
    """Events in the ledger, those of audit itself among them."""
    return len(system.stores["audit"].committed.rows["ledger"])


async def verified(system: System) -> dict:
    asked = await system.client.post("/v1/verifications", json={})
    assert asked.status_code == 202, asked.text
    assert (await get(system, asked.json()["url"]))["state"] == "requested"
    await system.settle()
    return await get(system, asked.json()["url"])


async def test_a_verification_finds_the_views_equal_and_states_it(system: System, story: Story):
    held = recorded(system)
    answer = await verified(system)
    assert (answer["state"], answer["outcome"], answer["first_difference"]) == ("completed", "equal", None)
    result = answer["result"]
    assert result["digest_live"] == result["digest_replayed"]
    assert result["events"] == answer["progress"]["of"] == held > story.number
    stated = await get(system, f"/v1/events/{result['event_id']}")
    assert (stated["type"], stated["actor"]) == ("VerificationCompleted", "ada")
    held = recorded(system)
    again = await verified(system)
    assert again["result"]["events"] == held
    assert [one["id"] for one in (await get(system, "/v1/verifications"))["items"]] == [again["id"], answer["id"]]


TAMPERED = {
    "an approval's actor": Put("ledger", {"event_id": APPROVED, "actor": "mallory"}),
    "an entry": Put("ledger", {"event_id": APPROVED, "entry": "{}"}),
    "an edge's end": Put("edges", {"event_id": APPROVED, "number": 0, "dst": "version/flights@2"}),
    "a place": Put("ledger", {"event_id": APPROVED, "offset": 0}),
    "a row gone": Delete("ledger", {"event_id": APPROVED}),
    "an edge gone": Delete("edges", {"event_id": APPROVED, "number": 0}),
    "a client's id": Put("prediction_ids", {"event_id": OWN_IDS, "row": 0, "prediction_id": "LH-9"}),
}


@pytest.mark.parametrize("change", TAMPERED.values(), ids=TAMPERED.keys())
async def test_a_verification_names_the_row_that_was_tampered_with(system: System, story: Story, change):
    async with system.stores["audit"].begin() as unit:
        await unit.apply([change])
    answer = await verified(system)
    assert answer["outcome"] == "different"
    event = (change.key if isinstance(change, Delete) else change.row)["event_id"]
    assert f"event_id={event}" in answer["first_difference"]
    assert answer["result"]["digest_live"] != answer["result"]["digest_replayed"]


FORGED = event_id(7_777)


@pytest.mark.parametrize("table", ["ledger", "edges"])
async def test_a_verification_finds_rows_that_no_event_accounts_for(system: System, story: Story, table):
    store = system.stores["audit"]
    row = await store.get(table, APPROVED, *([] if table == "ledger" else [0]))
    assert row is not None
    async with store.begin() as unit:
        await unit.apply([Put(table, {**row, "event_id": FORGED} | ({"offset": 10**6} if table == "ledger" else {}))])
    answer = await verified(system)
    assert answer["outcome"] == "different"
    assert FORGED in answer["first_difference"]


async def test_events_that_come_while_a_verification_is_asked_for_do_not_disturb_it(system: System, story: Story):
    held = recorded(system)
    for number in range(5):
        goal = registry.GoalStated(goal=f"g{number}", question="?", owner="ana")
        await story.say(f"goal/g{number}", goal, 12)
    asked = await system.client.post("/v1/verifications")
    for periodic in system.parts["audit"].periodic:
        await periodic.job()  # before the consumer has seen them
    answer = await get(system, asked.json()["url"])
    assert (answer["outcome"], answer["result"]["events"]) == ("equal", held)


@pytest.mark.parametrize("number", ["2013", "0", "1364774400.5", "-1"])
async def test_a_number_is_no_time(system: System, number: str):
    answer = await problem(system, "/v1/estate", 422, "invalid-request", at=number)
    assert "RFC 3339" in answer["detail"]
    issued = await system.client.post("/v1/reports", json={"reason": "x", "known_at": float(number)})
    assert (issued.status_code, "RFC 3339" in issued.text) == (422, True)


async def test_who_may_ask_for_a_verification(system: System):
    response = await system.client.post("/v1/verifications", headers={"X-Roles": "sme"})
    assert response.status_code == 403
    response = await system.client.post("/v1/verifications", json={"partitions": 1})
    assert response.status_code == 422
    key = {"Idempotency-Key": "once"}
    first, second = [await system.client.post("/v1/verifications", headers=key) for _ in range(2)]
    assert first.json() == second.json()


async def test_views_rebuilt_from_the_log_are_the_same_and_know_old_verifications(system: System, story: Story):
    done = await verified(system)
    store = system.stores["audit"]
    before = {name: list(rows.values()) for name, rows in store.committed.rows.items() if name != "verifications"}
    before = {name: sorted(map(repr, rows)) for name, rows in before.items()}
    await store.clear_views("audit.ledger")
    consumer = system.consumer("audit.ledger")
    for place in await system.log.bounds(consumer.topics):
        consumer.forget(place)
    await system.settle()
    after = {name: sorted(map(repr, rows.values())) for name, rows in store.committed.rows.items() if name in before}
    assert after == before
    assert (await get(system, "/v1/verifications"))["items"] == [done], "the list, too, is as before"
    await store.clear_views("audit.ledger")
    store.committed.rows["verifications"].clear()  # as where all was lost but the log
    for place in await system.log.bounds(consumer.topics):
        consumer.forget(place)
    await system.settle()
    assert (await get(system, f"/v1/verifications/{done['id']}"))["outcome"] == "equal"


async def test_what_changed_between_two_instants_by_whom_and_by_which_event(system: System, story: Story):
    diff = await get(system, "/v1/estate/diff", **{"from": moment(4.2), "to": moment(4.7)})
    (late,) = diff["changed"]
    assert [(one["what"], one["from"], one["to"]) for one in late["changes"]] == [
        ("challenger 2", None, 10.0),
        ("shadow 3", None, "asked"),
    ]
    assert (late["changes"][0]["stated"]["actor"], late["changes"][0]["stated"]["type"]) == ("dev", "TrafficChanged")
    promoted = (await get(system, "/v1/estate/diff", **{"from": moment(9)}))["changed"][0]["changes"]
    moved = {one["what"]: one for one in promoted}
    assert (moved["champion"]["from"], moved["champion"]["to"]) == (1, 2)
    assert {moved[what]["stated"]["actor"] for what in ("champion", "challenger 2", "shadow 3")} == {"mia"}
    assert moved["champion"]["stated"]["type"] == "Promoted"
    assert (diff["added"], diff["removed"]) == ([], [])


async def test_deployments_that_came_and_went(system: System, story: Story):
    added = (await get(system, "/v1/estate/diff", **{"from": moment(3), "to": moment(4.2)}))["added"]
    assert [(one["deployment"], one["version"], one["stated"]["actor"]) for one in added] == [("late", 1, "dev")]
    retired = deployer.Retired(deployment="late", model="flights", before=traffic(2), reason="no longer needed")
    await story.say("deployment/late", retired, 12, actor="mia")
    await system.settle()
    removed = (await get(system, "/v1/estate/diff", **{"from": moment(11)}))["removed"]
    stated = removed[0]["stated"]
    assert (removed[0]["version"], stated["actor"], stated["type"], stated["time"]) == (
        2,
        "mia",
        "Retired",
        "2013-01-13T00:00:00Z",
    )


async def test_what_was_learned_since_about_one_instant(system: System, story: Story):
    change = changed(traffic(2), traffic(3))
    await story.say("deployment/late", change, 9.5, recorded=20, actor="mia")
    await system.settle()
    asked = {"from": moment(10.5), "to": moment(10.5), "known_from": moment(15), "known_to": moment(21)}
    (late,) = (await get(system, "/v1/estate/diff", **asked))["changed"]
    champion = next(one for one in late["changes"] if one["what"] == "champion")
    assert (champion["from"], champion["to"]) == (2, 3)
    assert (champion["stated"]["backdated"], champion["stated"]["backdated_by_seconds"]) == (True, 10.5 * 86_400)
    same = await get(system, "/v1/estate/diff", **(asked | {"known_from": moment(21)}))
    assert (same["added"], same["removed"], same["changed"]) == ([], [], [])
    await problem(system, "/v1/estate/diff", 422, "invalid-request")


async def test_a_timeline_says_who_moved_what_from_and_to(system: System, story: Story):
    alias = registry.AliasMoved(model="flights", alias="champion", before=1, after=2)
    await story.say("model/flights", alias, 11, actor="mia")
    await system.settle()
    items = (await get(system, "/v1/timeline/deployment/late"))["items"]
    said = [(one["actor"], change["what"], change["from"], change["to"]) for one in items for change in one["changes"]]
    assert ("dev", "champion", None, 1) in said
    assert ("dev", "challenger 2", None, 10.0) in said
    assert ("mia", "champion", 1, 2) in said
    assert ("mia", "challenger 2", 10.0, None) in said
    items = (await get(system, "/v1/timeline/model/flights"))["items"]
    moved = [one for one in items if one["type"] == "AliasMoved"]
    assert (moved[0]["actor"], moved[0]["changes"]) == ("mia", [{"what": "alias:champion", "from": 1, "to": 2}])


@pytest.mark.parametrize("node", ["dataset/flights-2013@1", "pipeline/train", "goal/warn", "version/flights@1"])
async def test_which_predictions_a_thing_touched(system: System, story: Story, node: str):
    told = await get(system, f"/v1/touched/{node}")
    assert [(one["id"], one["first"]["batch"], one["last"]["batch"]) for one in told["sources"]] == [
        ("flights@1", BATCH, OWN_IDS)
    ]
    assert [one["batch"] for one in told["items"]] == [BATCH, OWN_IDS]
    first, second = told["items"]
    assert (first["first_id"], first["last_id"]) == (prediction_id(BATCH, 0), prediction_id(BATCH, 1))
    assert (second["first_id"], second["predictions"]) == (None, 2)
    assert told["truncated"] is False
    page = await get(system, f"/v1/touched/{node}", limit=1)
    rest = await get(system, f"/v1/touched/{node}", limit=1, cursor=page["next"])
    assert [one["batch"] for one in page["items"] + rest["items"]] == [BATCH, OWN_IDS]
    assert rest["next"] is None
    assert (await get(system, f"/v1/touched/{node}", known_at=moment(4.9)))["items"] == []
    assert (await get(system, f"/v1/touched/{node}", **{"from": moment(5.5)}))["items"] == []


async def test_what_touched_nothing(system: System, story: Story):
    told = await get(system, "/v1/touched/version/flights@2")
    assert (told["sources"], told["items"], told["next"]) == ([], [], None)
    await problem(system, "/v1/touched/dataset/nothing", 404, "unknown-dataset")
