"""Feedback over HTTP: raise, place, answer, and too many at once."""

from datetime import UTC, datetime

import pyarrow as pa

from services.feedback.service import DEFINITION
from shared.events import batches
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.runtime.commands import new_id
from tests.support import System, running

AT = datetime(2013, 7, 3, tzinfo=UTC)


async def predictions(system: System, rows: int = 3, ids: list[str] | None = None, batch: str | None = None) -> str:
    """Publish a batch of predictions to the log; returns its id."""
    columns = {"at": pa.array([AT] * rows, batches.TIMESTAMP), "output.probability": pa.array([0.5] * rows)}
    if ids:
        columns["prediction_id"] = pa.array(ids)
    said = PredictionLogged(
        deployment="d", model="m", version=1, rows=rows, start=AT, end=AT, client_ids=ids is not None
    )
    name = batch or new_id()
    table = batches.write(pa.record_batch(columns))
    event = Event(name, "/muniment/monitor", f"batch/{name}", AT, 0, "ana", said, table=table)
    await system.log.publish("muniment.predictions", [encode(event)])
    return name


def flag(prediction_id: str, **more: object) -> dict:
    return {"prediction_id": prediction_id, "category": "missed", "severity": "high"} | more


async def test_a_flag_is_raised_triaged_answered_and_told() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system)
        await system.settle()
        answer = await system.client.post(
            "/v1/flags", json=flag(f"{batch}-1", expected=1.0), headers={"X-Actor": "ana"}
        )
        assert answer.status_code == 201, answer.text
        name = answer.json()["id"]
        assert answer.json()["located"] is True
        await system.settle()
        path = f"/v1/flags/{name}"
        assert (await system.client.post(f"{path}/triage", json={"assignee": "dan"})).status_code == 200
        resolution = {"resolution": "label_corrected", "comment": "you are right"}
        assert (await system.client.post(f"{path}/resolve", json=resolution)).status_code == 200
        again = await system.client.post(f"{path}/resolve", json=resolution)
        assert (again.status_code, again.json()["type"]) == (409, "urn:muniment:problem:already-resolved")
        assert (await system.client.post(f"{path}/comments", json={"comment": "thanks"})).status_code == 201
        await system.settle()
        seen = (await system.client.get(path)).json()
        assert (seen["state"], seen["raised_by"], seen["version"], seen["answer"]) == (
            "resolved",
            "ana",
            1,
            "you are right",
        )
        assert [entry["type"] for entry in seen["history"]] == [
            "FeedbackFlagged",
            "FlagTriaged",
            "FlagResolved",
            "FlagCommented",
        ]
        listed = (await system.client.get("/v1/flags", params={"deployment": "d", "state": "resolved"})).json()
        assert [item["id"] for item in listed["items"]] == [name]


async def test_a_flag_on_a_prediction_not_yet_known_is_placed_when_it_comes() -> None:
    async with running(DEFINITION, partitions=3) as system:
        batch = new_id()
        for wanted in (f"{batch}-0", "flight-7"):
            answer = await system.client.post("/v1/flags", json=flag(wanted))
            assert (answer.status_code, answer.json()["located"]) == (201, False)
        await system.settle()
        await predictions(system, 1, batch=batch)
        await predictions(system, 2, ids=["flight-6", "flight-7"])
        await system.settle()
        items = (await system.client.get("/v1/flags", params={"deployment": "d"})).json()["items"]
        assert {(item["prediction_id"], item["row"], item["located"]) for item in items} == {
            (f"{batch}-0", 0, True),
            ("flight-7", 1, True),
        }


async def test_what_does_not_exist_is_told() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 2)
        await system.settle()
        missing = await system.client.post("/v1/flags", json=flag(f"{batch}-2"))
        assert (missing.status_code, missing.json()["type"]) == (404, "urn:muniment:problem:unknown-prediction")
        assert (await system.client.get("/v1/flags/none")).status_code == 404
        assert (await system.client.post("/v1/flags/none/triage", json={"assignee": "x"})).status_code == 404
        bad = await system.client.post("/v1/flags", json=flag("x", severity="awful"))
        assert (bad.status_code, bad.headers["content-type"]) == (422, "application/problem+json")


async def test_too_many_open_flags_are_stated_once_and_again_after_they_fell() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 30)
        await system.settle()
        limit = system.settings.flags_open_threshold

        async def breaches() -> list[int]:
            await system.settle()
            events = await system.log.read((await _place(system)), 0, 1_000)
            return [1 for record in events if dict(record.headers)["ce_type"] == b"FlagThresholdBreached"]

        body = {"flags": [flag(f"{batch}-{row}") for row in range(limit)]}
        first = (await system.client.post("/v1/flags:bulk", json=body)).json()
        assert first["accepted"] == limit
        assert await breaches() == [1]
        await system.client.post("/v1/flags", json=flag(f"{batch}-{limit}"))
        assert await breaches() == [1]
        answer = {"resolution": "works_as_intended", "comment": "so it is"}
        for item in first["items"][:2]:
            await system.client.post(f"/v1/flags/{item['id']}/resolve", json=answer)
        assert await breaches() == [1]
        await system.client.post("/v1/flags", json=flag(f"{batch}-{limit + 1}"))
        assert await breaches() == [1, 1]
        counted = (await system.client.get("/v1/flags:summary", params={"deployment": "d"})).json()
        assert (counted["flags"], counted["by_state"]) == (limit + 2, {"open": limit, "resolved": 2})


async def _place(system: System):
    [place] = (await system.log.bounds(["muniment.feedback"])).keys()
    return place
