"""The dossier of one prediction and lineage as pictures, over HTTP."""

import xml.etree.ElementTree as ElementTree
from collections.abc import AsyncIterator

import pytest

from services.audit.service import DEFINITION
from shared.events import monitor, registry
from shared.events.batches import prediction_id
from tests.component.audit_given import APPROVED, BATCH, CORRECTED, FLAG, V1, Story, told
from tests.support import System, running
from tests.unit.audit.facts import day, event_id, predictions

PREDICTION = prediction_id(BATCH, 1)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        yield system


@pytest.fixture
async def story(system: System) -> Story:
    return await told(system)


async def dossier(system: System, **query) -> dict:
    response = await system.client.get(f"/v1/dossier/{PREDICTION}", params=query)
    assert response.status_code == 200, response.text
    return response.json()


async def test_all_that_concerns_a_prediction_in_one_call(system: System, story: Story):
    policy = registry.PolicyAdopted(stage="production", version=1, evidence=("quality",), approvals=("risk_manager",))
    await story.say("policy/production", policy, 0.2, actor="rita")
    later = policy.model_copy(update={"version": 2})
    await story.say("policy/production", later, 9, actor="rita")
    await system.settle()
    told = await dossier(system)
    assert told["prediction"]["features"] == {"hour": 23.0}
    assert (told["author"], told["approvers"], told["code"]["commit"]) == ("dan", ["rita"], "c0ffee")
    assert told["gate"]["stages"]["production"]["rules"][0]["evidence"] == [APPROVED]
    assert (told["policy"]["production"]["version"], told["policy"]["production"]["adopted_by"]) == (1, "rita")
    assert told["policy"]["staging"] is None if "staging" in told["policy"] else True
    assert (told["experiment"]["arm"], len(told["experiment"]["arms"])) == ("champion", 3)
    assert told["explanation"]["url"] == f"/v1/predictions/{PREDICTION}/explanation"
    assert (told["outcome"]["value"], told["outcome"]["event_id"]) == (1.0, CORRECTED)
    assert [step["words"] for step in told["flags"][0]["history"]] == ["flagged as wrong", "resolved: model defect"]
    register = {event["event_id"]: event for event in told["events"]}
    assert {BATCH, APPROVED, CORRECTED, FLAG} <= set(register)
    assert register[APPROVED]["actor"] == "rita"
    assert [event["time"] for event in told["events"]] == sorted(event["time"] for event in told["events"])


async def test_the_registered_experiment_that_it_was_part_of(system: System, story: Story):
    for name, start, end in (("earlier", 3, 4), ("boost", 4.5, 9), ("later", 9.5, None)):
        started = monitor.ExperimentStarted(
            experiment=name,
            deployment="late",
            model="flights",
            kpi="cost",
            unit="USD",
            direction="lower",
            formula=registry.Formula(kind="cost"),
            control=monitor.ExperimentArm(version=1, share=0.5),
            treatments=(monitor.ExperimentArm(version=2, share=0.5),),
            minimum_effect=2.0,
            level=0.05,
            power=0.8,
            planned_cases=None,
            counts_from=day(start),
        )
        await story.say(f"experiment/late/{name}", started, start)
        if end is not None:
            concluded = monitor.ExperimentConcluded(
                experiment=name, deployment="late", model="flights", verdict="treatment", version=2, reason="Cheaper."
            )
            await story.say(f"experiment/late/{name}", concluded, end)
    await system.settle()
    (one,) = (await dossier(system))["experiments"]
    assert (one["id"], one["arm"], one["attributes"]["verdict"]) == ("late/boost", "control", "treatment")
    (then,) = (await dossier(system, at=day(8).isoformat()))["experiments"]
    assert (then["arm"], then["attributes"].get("verdict")) == ("control", None)
    page = await system.client.get(f"/v1/dossier/{PREDICTION}", params={"format": "html"})
    assert "Registered experiment <b>boost</b>, control arm" in page.text
    lineage = (await system.client.get(f"/v1/lineage/prediction/{PREDICTION}")).json()
    assert [node["id"] for node in lineage["nodes"] if node["kind"] == "experiment"] == ["late/boost"]
    assert (await system.client.get("/v1/lineage/experiment/late/boost")).status_code == 200


async def test_a_dossier_as_it_was_known_that_day(system: System, story: Story):
    then = await dossier(system, known_at=day(5.5).isoformat())
    assert (then["outcome"], then["flags"]) == (None, [])
    assert FLAG not in {event["event_id"] for event in then["events"]}


async def test_columns_of_the_data_that_the_inputs_bear_the_names_of(system: System, story: Story):
    column = registry.Column(name="hour", type="double", sources=("raw.dep_time",))
    data = registry.DatasetRegistered(dataset="hours", version=1, uri="x", columns=(column,))
    await story.say("dataset/hours", data, 0)
    inputs = (registry.Field(name="hour", type="double"), registry.Field(name="day", type="long"))
    version = registry.ModelVersionRegistered(
        model="flights",
        version=1,
        artifact=registry.Artifact(uri="external:x", sha256=""),
        signature=registry.Signature(inputs=inputs, outputs=()),
        training_data=(registry.DatasetRef(dataset="hours", version=1),),
    )
    await story.say("model/flights", version, 1, actor="dan")
    await system.settle()
    hour, day_of_week = (await dossier(system))["columns"]
    assert (hour["columns"][0]["dataset"], hour["columns"][0]["sources"]) == ("hours@1", ["raw.dep_time"])
    assert day_of_week["columns"] == []


async def test_the_page_says_what_the_document_says(system: System, story: Story):
    response = await system.client.get(f"/v1/dossier/{PREDICTION}", params={"format": "html"})
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    page = response.text
    assert "<script" not in page
    for text in (
        "probability",
        "rita approved",
        "flights version 1",
        "c0ffee",
        "model defect",
        "A trial was under way",
    ):
        assert text in page
    for event in (await dossier(system))["events"]:
        assert event["event_id"] in page


async def test_where_a_constant_answered_the_story_says_so(system: System, story: Story):
    name = event_id(950)
    said = monitor.PredictionLogged(**V1, rows=2, start=day(5), end=day(5), fallback="constant")
    await story.say(f"batch/{name}", said, 5, table=predictions(), name=name)
    await system.settle()
    told = (await system.client.get(f"/v1/dossier/{name}-0")).json()
    assert (told["prediction"]["version"], told["prediction"]["fallback"]) == (1, "constant")
    assert told["experiment"]["arm"] is None
    assert told["explanation"]["note"].startswith("A constant answered")
    page = (await system.client.get(f"/v1/dossier/{name}-0", params={"format": "html"})).text
    assert "A constant of late, in place of flights version 1, which failed, answered" in page
    of_model = (await system.client.get(f"/v1/dossier/{PREDICTION}", params={"format": "html"})).text
    assert "onstant" not in of_model


async def test_a_dossier_of_nothing(system: System, story: Story):
    response = await system.client.get("/v1/dossier/nobody")
    assert (response.status_code, response.json()["type"].rpartition(":")[2]) == (404, "unknown-prediction")
    assert (await system.client.get(f"/v1/dossier/{PREDICTION}", params={"format": "pdf"})).status_code == 422


@pytest.mark.parametrize("path", [f"prediction/{PREDICTION}", "version/flights@1", "dataset/flights-2013@1"])
async def test_lineage_as_pictures_of_the_same_graph(system: System, story: Story, path: str):
    graph = (await system.client.get(f"/v1/lineage/{path}")).json()
    drawn = await system.client.get(f"/v1/lineage/{path}", params={"format": "svg"})
    assert drawn.headers["content-type"].startswith("image/svg+xml")
    cards = ElementTree.fromstring(drawn.content).findall("{http://www.w3.org/2000/svg}g")
    assert len(cards) == len(graph["nodes"])
    text = await system.client.get(f"/v1/lineage/{path}", params={"format": "mermaid"})
    assert text.headers["content-type"].startswith("text/vnd.mermaid")
    assert text.text.count(":::") == len(graph["nodes"])


async def test_the_lineage_of_a_prediction_holds_what_let_its_version_through(system: System, story: Story):
    policy = registry.PolicyAdopted(stage="production", version=1, evidence=(), approvals=())
    await story.say("policy/production", policy, 0.2)
    await system.settle()
    graph = (await system.client.get(f"/v1/lineage/prediction/{PREDICTION}")).json()
    nodes = {f"{node['kind']}/{node['id']}" for node in graph["nodes"]}
    expected = {f"approval/{APPROVED}", "gate/flights@1/production", "policy/production@1", "kpi/cost", "outcome/o1"}
    assert expected <= nodes
    links = {(edge["src"], edge["role"], edge["dst"]) for edge in graph["edges"]}
    assert ("gate/flights@1/production", "policy", "policy/production@1") in links
