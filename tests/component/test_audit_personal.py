"""What the audit says of personal values: that they are encrypted or erased, by which event; never what they are."""

from collections.abc import AsyncIterator

import pyarrow as pa
import pytest

from services.audit.service import DEFINITION
from shared.events import batches, monitor, registry
from shared.keyring.keyring import new_key
from shared.keyring.sealing import seal
from tests.component.audit_given import V1, Story, told
from tests.support import System, running
from tests.unit.audit.facts import day, event_id

KEY = new_key()
BATCH = event_id(950)
PREDICTION = batches.prediction_id(BATCH, 0)
FORGOTTEN = monitor.SubjectForgotten(subject=KEY.token, reason="withdrew consent")


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        yield system


@pytest.fixture
async def story(system: System) -> Story:
    story = await told(system)
    table = pa.record_batch(
        {
            "at": pa.array([day(12)], batches.TIMESTAMP),
            "entity": [KEY.token],
            "feature.hour": [5.0],
            "output.probability": [0.5],
            batches.SEALED: [seal(KEY, {"entity": "ada", "feature.name": "Ada Lovelace"})],
        }
    )
    logged = monitor.PredictionLogged(**V1, rows=1, start=day(12), end=day(12))
    await story.say(f"batch/{BATCH}", logged, 12, table=table, name=BATCH)
    await system.settle()
    return story


async def personal(system: System, **parameters: str) -> dict:
    answer = await system.client.get(f"/v1/dossier/{PREDICTION}", params=parameters)
    assert answer.status_code == 200, answer.text
    assert "Lovelace" not in answer.text
    return answer.json()["prediction"]["personal"]


async def test_encrypted_until_forgotten_and_erased_since_on_somebody_s_word(system: System, story: Story) -> None:
    assert (await personal(system))["state"] == "encrypted"
    stream = f"subject/{KEY.token.partition(':')[2]}"
    event = await story.say(stream, FORGOTTEN, 14, actor="rita")
    await system.settle()
    found = await personal(system)
    assert (found["state"], found["by"], found["event_id"]) == ("erased", "rita", event.id)
    assert "withdrew consent" in found["detail"]
    assert (await personal(system, known_at=day(13).isoformat()))["state"] == "encrypted"
    page = (await system.client.get(f"/v1/dossier/{PREDICTION}", params={"format": "html"})).text
    assert "Personal values were erased" in page
    timeline = await system.client.get(f"/v1/timeline/{stream}")
    assert [one["type"] for one in timeline.json()["items"]] == ["SubjectForgotten"]


async def test_the_proof_of_an_erased_prediction_and_of_its_forgetting_hold(system: System, story: Story) -> None:
    before = (await system.client.get("/v1/proofs/inclusion", params={"event_id": BATCH})).json()
    event = await story.say(f"subject/{KEY.token.partition(':')[2]}", FORGOTTEN, 14)
    await system.settle()
    size = before["size"]
    after = await system.client.get("/v1/proofs/inclusion", params={"event_id": BATCH, "size": size})
    assert after.json()["entry"] == before["entry"]
    assert after.json()["proof"] == before["proof"]
    assert (await system.client.get("/v1/proofs/inclusion", params={"event_id": event.id})).status_code == 200
    asked = (await system.client.post("/v1/verifications")).json()["id"]
    await system.settle()
    assert (await system.client.get(f"/v1/verifications/{asked}")).json()["outcome"] == "equal"


async def test_where_nothing_is_personal_nothing_is_said(system: System, story: Story) -> None:
    answer = (await system.client.get("/v1/dossier/LH-1")).json()
    assert answer["prediction"]["personal"] is None


async def test_a_page_as_of_a_time_before_anything_was_said_is_a_page_of_gaps(system: System, story: Story) -> None:
    path = f"/v1/dossier/{PREDICTION}"
    answer = await system.client.get(path, params={"format": "html", "at": day(-300).isoformat()})
    assert answer.status_code == 200, answer.text
    assert "<html" in answer.text


async def test_a_report_tells_what_is_personal_and_that_somebody_was_forgotten(system: System, story: Story) -> None:
    assert "encrypted" not in await article_12(system)
    fields = (registry.Field(name="income", type="double", personal=True),)
    signature = registry.Signature(inputs=fields, outputs=())
    artifact = registry.Artifact(uri="external:x", sha256="ab" * 32)
    version = registry.ModelVersionRegistered(model="flights", version=9, artifact=artifact, signature=signature)
    await story.say("model/flights", version, 13)
    await system.settle()
    said = await article_12(system)
    assert "a key for each person: income and whom a prediction is about" in said
    assert "Nobody was forgotten" in said
    event = await story.say(f"subject/{KEY.token.partition(':')[2]}", FORGOTTEN, 14)
    await system.settle()
    said = await article_12(system)
    assert "Of 1 person on the whole record the key was destroyed" in said
    assert event.id in said
    assert "Nobody was forgotten" in await article_12(system, known_at=day(13.5).isoformat())


async def article_12(system: System, **parameters: str) -> str:
    """What the section says, and the register of events."""
    answer = await system.client.get("/v1/reports/flights", params=parameters)
    assert answer.status_code == 200, answer.text
    report = answer.json()
    sections = {section["name"]: section for part in report["parts"] for section in part["sections"]}
    texts = [block["text"] for block in sections["article-12"]["blocks"] if block["kind"] == "statement"]
    return " ".join([*texts, *(one["event_id"] for one in report["register"]["events"])])
