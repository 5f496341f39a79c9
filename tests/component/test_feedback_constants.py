"""What a constant answered in a version's place can be flagged, and is no prediction of the version."""

from typing import Any

import pytest

from services.feedback.service import DEFINITION
from tests.component.feedback_given import flag, predictions, stated
from tests.component.test_feedback_rules import adopt
from tests.support import System, running


async def answer(system: System, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    told = await system.client.request(method, path, json=body)
    assert told.is_success, told.text
    return told.json()


@pytest.mark.parametrize("flag_first", [False, True])
async def test_a_constants_rows_and_the_flags_on_them_are_in_no_rate(flag_first: bool) -> None:
    async with running(DEFINITION) as system:
        await answer(system, "PUT", "/v1/flag-limits/d", {"rate": 0.1, "rate_rows": 10})
        batch = await predictions(system, 10)
        if flag_first:
            await answer(system, "POST", "/v1/flags", flag("own-0"))
        await predictions(system, 90, ids=[f"own-{row}" for row in range(90)], fallback="constant")
        await system.settle()
        if not flag_first:
            await answer(system, "POST", "/v1/flags", flag("own-0"))
            await system.settle()
        told = await answer(system, "GET", "/v1/rates?deployment=d")
        assert (told["predictions"], told["flagged"]) == (10, 0)
        [item] = (await answer(system, "GET", "/v1/flags?deployment=d"))["items"]
        assert (item["located"], item["version"], item["fallback"]) == (True, 1, "constant")
        assert await stated(system, "FlagThresholdBreached") == []
        await answer(system, "POST", "/v1/flags", flag(f"{batch}-0"))
        [breach] = await stated(system, "FlagThresholdBreached")
        assert (breach.data.kind, breach.data.value) == ("rate", 0.1)  # type: ignore[attr-defined]


async def test_a_review_draws_none_of_them_and_a_query_finds_none() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 5, output__p=[0.1, 0.2, 0.3, 0.4, 0.5])
        await predictions(system, 5, fallback="constant", output__p=[0.5] * 5)
        await system.settle()
        query = {"deployment": "d", "version": 1}
        review = await answer(system, "POST", "/v1/reviews", {"query": query, "size": 10})
        await system.settle()
        items = (await answer(system, "GET", f"/v1/reviews/{review['id']}/items"))["items"]
        assert {item["prediction_id"].rpartition("-")[0] for item in items} == {batch}
        await answer(system, "POST", "/v1/flags:bulk", {"category": "c", "query": query})
        await system.settle()
        [item] = (await answer(system, "GET", "/v1/flags?deployment=d"))["items"]
        assert item["predictions"] == 5


async def test_no_rule_is_held_against_them() -> None:
    async with running(DEFINITION) as system:
        await adopt(system)
        columns: dict[str, Any] = {"feature__delay": [0.0] * 2, "output__p": [0.99] * 2}
        await predictions(system, 2, fallback="constant", **columns)
        await system.settle()
        assert (await answer(system, "GET", "/v1/rules/early"))["days"] == []
        await predictions(system, 2, **columns)
        await system.settle()
        [day] = (await answer(system, "GET", "/v1/rules/early"))["days"]
        assert day["checked"] == 2
