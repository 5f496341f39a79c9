"""Reviews over HTTP: what is drawn, that nothing else may be judged, and what the words come to."""

from typing import Any

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from services.feedback.service import DEFINITION
from tests.component.feedback_given import flag, predictions, stated
from tests.support import System, running

QUERY = {"deployment": "d", "version": 1}


async def draw(system: System, **more: Any) -> dict[str, Any]:
    answer = await system.client.post("/v1/reviews", json={"query": QUERY} | more)
    assert answer.status_code == 201, answer.text
    await system.settle()
    return answer.json()


async def drawn(system: System, review: str) -> list[dict[str, Any]]:
    return (await system.client.get(f"/v1/reviews/{review}/items", params={"limit": 1_000})).json()["items"]


async def judge(system: System, review: str, words: dict[str, bool], who: str) -> None:
    body = {"judgements": [{"prediction_id": name, "wrong": wrong} for name, wrong in words.items()]}
    answer = await system.client.post(f"/v1/reviews/{review}/judgements", json=body, headers={"X-Actor": who})
    assert answer.status_code == 201, answer.text
    await system.settle()


async def scored(system: System, rows: int = 400) -> str:
    scores = np.random.default_rng(3).uniform(size=rows)
    segments = ["AA"] * (rows // 4) + ["UA"] * (rows - rows // 4)
    batch = await predictions(system, rows, output__p=scores.tolist(), segment=segments)
    await system.settle()
    return batch


async def test_a_draw_takes_more_where_the_model_is_unsure_and_can_be_repeated() -> None:
    async with running(DEFINITION) as system:
        await scored(system)
        review = await draw(system, size=60, seed=11)
        sizes = {one["name"]: (one["size"], one["drawn"]) for one in review["strata"]}
        assert [size for size, _ in sizes.values()] == [80] * 5
        taken = [drawn for _, drawn in sizes.values()]
        assert sum(taken) == 60
        assert taken == sorted(taken)
        items = await drawn(system, review["id"])
        assert len({item["prediction_id"] for item in items}) == 60
        near = [abs(item["score"] - 0.5) for item in items if item["stratum"] == "uncertainty 5"]
        far = [abs(item["score"] - 0.5) for item in items if item["stratum"] == "uncertainty 1"]
        assert max(near) < min(far)
        again = await draw(system, size=60, seed=11)
        assert [it["prediction_id"] for it in await drawn(system, again["id"])] == [it["prediction_id"] for it in items]


async def test_flagged_predictions_are_not_drawn() -> None:
    async with running(DEFINITION) as system:
        batch = await scored(system)
        await system.client.post("/v1/flags", json=flag(f"{batch}-399"))
        query = {"deployment": "d", "segment": "AA"}
        await system.client.post("/v1/flags:bulk", json={"category": "c", "query": query})
        await system.settle()
        review = await draw(system, size=1_000, design="stratified", by="segment")
        assert review["flagged"] == 101
        assert review["strata"] == [{"name": "UA", "size": 299, "drawn": 299}]
        names = {item["prediction_id"] for item in await drawn(system, review["id"])}
        assert names == {f"{batch}-{row}" for row in range(100, 399)}


async def test_words_of_experts_become_an_error_rate_and_their_agreement() -> None:
    async with running(DEFINITION) as system:
        await scored(system)
        review = await draw(system, size=100, design="stratified", strata=4)
        items = await drawn(system, review["id"])
        empty = (await system.client.get(f"/v1/reviews/{review['id']}")).json()
        assert (empty["error_rate"], empty["judged"]) == (None, 0)
        ana = {item["prediction_id"]: item["score"] > 0.75 for item in items}
        ben = {item["prediction_id"]: item["score"] > 0.6 for item in items}
        await judge(system, review["id"], ana, "ana")
        told = (await system.client.get(f"/v1/reviews/{review['id']}", params={"level": 0.9})).json()
        rate = told["error_rate"]
        assert (told["judged"], rate["level"], rate["covered"]) == (100, 0.9, 1.0)
        weighted = sum(one["size"] * one["wrong"] / one["judged"] for one in told["strata"]) / 400
        assert rate["rate"] == pytest.approx(weighted)
        assert rate["low"] < 0.25 < rate["high"]
        await judge(system, review["id"], ben, "ben")
        await judge(system, review["id"], ben, "ben")  # a second word of the same expert is not a second expert
        told = (await system.client.get(f"/v1/reviews/{review['id']}")).json()
        [pair] = told["agreement"]["cohen"]
        assert (pair["experts"], pair["things"]) == (["ana", "ben"], 100)
        assert pair["kappa"] == pytest.approx(cohen_kappa_score(list(ana.values()), list(ben.values())))
        assert told["agreement"]["experts"] == 2
        halves = [item for item in items if ana[item["prediction_id"]] != ben[item["prediction_id"]]]
        assert sum(one["wrong"] for one in told["strata"]) == pytest.approx(sum(ana.values()) + len(halves) / 2)


async def test_what_was_not_drawn_may_not_be_judged_and_bad_questions_are_told() -> None:
    async with running(DEFINITION) as system:
        await scored(system)
        review = await draw(system, size=10)
        body = {"judgements": [{"prediction_id": "chosen", "wrong": True}]}
        refused = await system.client.post(f"/v1/reviews/{review['id']}/judgements", json=body)
        assert (refused.status_code, refused.json()["type"].rpartition(":")[2]) == (422, "not-in-review")
        assert await stated(system, "ReviewJudged") == []
        wrong = {
            "no-version": {"query": {"deployment": "d"}},
            "no-predictions": {"query": QUERY | {"version": 9}},
            "unknown-output": {"query": QUERY, "output": "q"},
            "review-too-large": {"query": QUERY, "size": 10**6},
        }
        for code, body in wrong.items():
            answer = await system.client.post("/v1/reviews", json=body)
            assert answer.json()["type"].rpartition(":")[2] == code, answer.text
        assert (await system.client.get("/v1/reviews/none")).status_code == 404
        assert (await system.client.post("/v1/reviews/none/judgements", json=body | {})).status_code in (404, 422)


async def test_the_weight_of_an_expert_is_there_to_see() -> None:
    async with running(DEFINITION) as system:
        batch = await scored(system)
        for row, who, resolution in (
            (0, "ana", "model_defect"),
            (1, "ana", "model_defect"),
            (2, "ben", "works_as_intended"),
        ):
            raised = await system.client.post("/v1/flags", json=flag(f"{batch}-{row}"), headers={"X-Actor": who})
            answer = {"resolution": resolution, "comment": "so"}
            await system.client.post(f"/v1/flags/{raised.json()['id']}/resolve", json=answer)
        await system.settle()
        ana, ben = (await system.client.get("/v1/experts", params={"deployment": "d"})).json()["items"]
        assert (ana["expert"], ana["answered"], ana["upheld"], ana["weight"]) == ("ana", 2, 2, 0.75)
        assert ben["weight"] == pytest.approx(1 / 3)
        told = (await system.client.get("/v1/rates", params={"deployment": "d", "weighted": True})).json()
        assert (told["flagged"], told["weighted_flagged"]) == (3, pytest.approx(2 * 0.75 + 1 / 3))
        assert told["weights"] == {"ana": 0.75, "ben": pytest.approx(1 / 3)}
