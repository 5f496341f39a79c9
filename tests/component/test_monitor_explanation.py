"""GET /v1/predictions/{id}/explanation: the model as served, asked in a process of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.monitor.service import DEFINITION
from shared.events import deployer, registry
from tests.component.explaining_given import REFERENCE, SIGNATURE, artifact, risk
from tests.component.monitor_story import AT, TRAFFIC, state
from tests.support import System, running

pytestmark = pytest.mark.slow  # each test starts an explaining process, which loads shap


def facts(served: registry.Artifact, kind: str, reference: dict[str, Any]) -> list[tuple[str, list[Any]]]:
    version = registry.ModelVersionRegistered(
        model="late", version=1, artifact=served, signature=SIGNATURE, reference=reference
    )
    deployed = deployer.Deployed(
        deployment="late",
        model="late",
        version=1,
        environment="production",
        runtime=deployer.Runtime(kind=kind),  # type: ignore[arg-type]
        artifact=served,
        traffic=TRAFFIC,
    )
    model = registry.ModelRegistered(model="late", goal=None, owner="ana")
    return [("model/late", [model, version]), ("deployment/late", [deployed])]


@asynccontextmanager
async def explaining(
    served: registry.Artifact, kind: str = "onnx", reference: dict[str, Any] = REFERENCE, **changed: Any
) -> AsyncIterator[System]:
    patience = {"explanation_seconds": 120.0}  # a busy machine may take long to start the explaining process
    async with running(DEFINITION, **(patience | changed)) as system:
        for subject, payloads in facts(served, kind, reference):
            await state(system, subject, payloads)
        await system.settle()
        yield system


def prediction(delay: float, hour: int, carrier: str, minutes: int = 0, **changed: Any) -> dict[str, Any]:
    return {
        "at": (AT + timedelta(minutes=minutes)).isoformat(),
        "features": {"departure_delay": delay, "hour": hour, "carrier": carrier},
        "output": {"probability": risk(delay, hour, carrier)},
    } | changed


async def post(system: System, *rows: dict[str, Any]) -> list[str]:
    body = {"deployment": "late", "version": 1, "predictions": list(rows)}
    answer = await system.client.post("/v1/predictions", json=body)
    assert answer.status_code == 202, answer.text
    await system.settle()
    return answer.json()["ids"]


async def explanation(system: System, prediction_id: str, **query: Any) -> Any:
    answer = await system.client.get(f"/v1/predictions/{prediction_id}/explanation", params=query)
    return answer.json() | {"http": answer.status_code}


async def test_contributions_add_up_words_say_them_and_past_cases_stand_beside(tmp_path: Path) -> None:
    async with explaining(artifact(tmp_path)) as system:
        past = await post(
            system,
            prediction(44.0, 17, "B6"),
            prediction(-5.0, 6, "AA"),
            prediction(45.0, 17, "B6", minutes=60),  # later than the one explained: no past case
        )
        outcomes = [{"prediction_id": past[0], "value": 1}, {"prediction_id": past[2], "value": 0}]
        await system.client.post("/v1/outcomes", json={"outcomes": outcomes})
        (mine,) = await post(system, prediction(45.0, 17, "B6", minutes=30))
        found = await explanation(system, mine)
        assert found["http"] == 200, found
        assert found["value"] == pytest.approx(risk(45.0, 17, "B6"), abs=1e-9)
        total = found["base_value"] + sum(one["contribution"] for one in found["contributions"])
        assert total == pytest.approx(found["value"], abs=1e-6)
        assert found["logged"] == {"value": pytest.approx(found["value"]), "same": True}
        assert [one["feature"] for one in found["contributions"]] == ["departure_delay", "carrier", "hour"]
        assert found["summary"][0].startswith("The model's risk of a late arrival is ")
        assert found["summary"][1].startswith("Departure delay of 45 min raised the risk of a late arrival by ")
        assert found["summary"][2].startswith("Carrier of 'B6' raised the risk of a late arrival by ")
        assert found["summary"][3].startswith("Hour of departure of 17 h raised the risk of a late arrival by ")
        assert found["summary"][-1] == "Of the 2 most similar past cases, 1 are known: 1 came true."
        assert [one["prediction_id"] for one in found["nearest"]] == [past[0], past[1]]
        assert found["nearest"][0]["outcome"]["value"] == 1
        assert found["nearest"][0]["distance"] < found["nearest"][1]["distance"]
        assert await explanation(system, mine) == found  # remembered
        async with explaining(artifact(tmp_path)) as another:  # computed again, in another process
            (same,) = await post(another, prediction(45.0, 17, "B6", minutes=30, id="own"))
            again = await explanation(another, same)
            assert again["contributions"] == found["contributions"]


async def test_what_was_logged_is_held_against_what_the_model_says(tmp_path: Path) -> None:
    async with explaining(artifact(tmp_path)) as system:
        (mine,) = await post(system, prediction(0.0, 5, "AA", output={"probability": 0.9}))
        found = await explanation(system, mine)
        assert found["logged"] == {"value": 0.9, "same": False}
        assert "when the prediction was made 0.9 was recorded" in found["summary"][-1]


async def test_what_cannot_be_explained_says_why(tmp_path: Path) -> None:
    good = artifact(tmp_path)
    wrong = registry.Artifact(uri=good.uri, sha256="00" * 32)
    elsewhere = registry.Artifact(uri="external:vendor", sha256="00" * 32)
    cases: list[tuple[registry.Artifact, str, dict[str, Any], str]] = [
        (wrong, "onnx", REFERENCE, f"has SHA-256 {good.sha256}, registered is {wrong.sha256}"),
        (elsewhere, "onnx", REFERENCE, "lies elsewhere"),
        (good, "external", REFERENCE, "is served elsewhere"),
        (good, "v2", REFERENCE, "by another server"),
        (good, "onnx", {"hour": (1, 2)}, "has no reference of departure_delay, carrier"),
    ]
    for served, kind, reference, reason in cases:
        async with explaining(served, kind, reference) as system:
            (mine,) = await post(system, prediction(0.0, 5, "AA"))
            found = await explanation(system, mine)
            assert (found["http"], found["type"]) == (409, "urn:muniment:problem:not-explainable")
            assert reason in found["detail"]


async def test_time_and_questions_are_limited(tmp_path: Path) -> None:
    async with explaining(artifact(tmp_path)) as system:
        mine, other = await post(system, prediction(0.0, 5, "AA"), prediction(1.0, 5, "AA"))
        service = system.services["monitor"]
        patient, hasty = service.settings, service.settings.model_copy(update={"explanation_seconds": 0.001})
        service.settings = hasty
        found = await explanation(system, mine)
        assert (found["http"], found["type"]) == (503, "urn:muniment:problem:explanation-starting")
        service.settings = patient  # its start went on meanwhile
        assert (await explanation(system, mine))["http"] == 200
        service.settings = hasty
        found = await explanation(system, other)
        assert (found["http"], found["type"]) == (503, "urn:muniment:problem:explanation-too-slow")
    async with explaining(artifact(tmp_path), max_explanations=0) as system:
        (mine,) = await post(system, prediction(0.0, 5, "AA"))
        found = await explanation(system, mine)
        assert (found["http"], found["type"]) == (503, "urn:muniment:problem:explanation-busy")


async def test_unknown_outputs_and_predictions_are_told(tmp_path: Path) -> None:
    async with explaining(artifact(tmp_path)) as system:
        (mine,) = await post(system, prediction(0.0, 5, "AA"))
        found = await explanation(system, mine, output="risk")
        assert (found["http"], found["outputs"]) == (422, ["probability"])
        assert (await explanation(system, "nobody"))["http"] == 404
