"""Business rules: every violation is a flag, counted once, from when the rule was adopted until it is retired."""

from typing import Any

import pytest

from services.feedback.service import DEFINITION
from shared.events import batches
from tests.component.feedback_given import predictions, stated
from tests.support import System, running

EARLY = {"column": "feature.delay", "op": "<", "value": 0}
WARNED = {"column": "output.p", "op": ">=", "value": 0.5}
TABLE = [
    {"when": [EARLY, WARNED], "category": "warned-early", "severity": "high"},
    {"when": [{"column": "feature.delay", "op": "missing"}], "category": "blind", "severity": "low"},
]
RULE = {"deployment": "d", "statement": "Never warn of a flight that left early.", "table": TABLE}
DELAYS, SCORES = [-5.0, -5.0, 10.0, None], [0.9, 0.1, 0.9, 0.9]


async def adopt(system: System, name: str = "early", status: int = 201, **more: Any) -> dict[str, Any]:
    answer = await system.client.put(f"/v1/rules/{name}", json=RULE | more)
    assert answer.status_code == status, answer.text
    await system.settle()
    return answer.json()


async def flights(system: System, **more: Any) -> str:
    batch = await predictions(system, 4, feature__delay=DELAYS, output__p=SCORES, **more)
    await system.settle()
    return batch


async def days(system: System, name: str = "early") -> list[tuple[Any, ...]]:
    rule = (await system.client.get(f"/v1/rules/{name}")).json()
    return [(one["day"], one["version"], one["checked"], one["violated"]) for one in rule["days"]]


@pytest.mark.parametrize("partitions", [1, 3])
async def test_every_violation_is_flagged_by_the_first_row_that_applies(partitions: int) -> None:
    async with running(DEFINITION, partitions=partitions) as system:
        await flights(system)  # before there was a rule
        await adopt(system)
        first, second = await flights(system), await flights(system, version=2)
        await flights(system, deployment="other")
        items = (await system.client.get("/v1/flags", params={"rule": "early"})).json()["items"]
        found = {(item["category"], item["version"]): item for item in items}
        assert set(found) == {(name, version) for name in ("warned-early", "blind") for version in (1, 2)}
        flag = found["warned-early", 1]
        assert (flag["raised_by"], flag["via"], flag["severity"], flag["predictions"]) == (
            "rule:early",
            "rule",
            "high",
            1,
        )
        [part] = (await system.client.get(f"/v1/flags/{flag['id']}/predictions")).json()["items"]
        assert part["prediction_ids"] == [f"{first}-0"]
        [part] = (await system.client.get(f"/v1/flags/{found['blind', 2]['id']}/predictions")).json()["items"]
        assert part["prediction_ids"] == [f"{second}-3"]
        assert await days(system) == [("2013-07-03", 1, 4, 2), ("2013-07-03", 2, 4, 2)]
        told = (await system.client.get("/v1/rates", params={"deployment": "d", "rule": "early"})).json()
        assert (told["predictions"], told["flagged"]) == (12, 4)


async def test_more_of_the_same_day_is_the_same_flag() -> None:
    async with running(DEFINITION) as system:
        await adopt(system)
        names = [await flights(system) for _ in range(3)]
        items = (await system.client.get("/v1/flags", params={"category": "warned-early"})).json()["items"]
        assert [item["predictions"] for item in items] == [3]
        parts = [event for event in await stated(system, "PredictionsFlagged") if event.data.category == "warned-early"]
        rows = [row for part in parts for row in batches.read(part.table or b"").to_pylist()]
        assert [(row["batch"], row["row"]) for row in rows] == [(name, 0) for name in names]
        assert await days(system) == [("2013-07-03", 1, 12, 6)]


async def test_a_rebuild_counts_the_same_and_flags_nothing_again() -> None:
    async with running(DEFINITION) as system:
        await flights(system)
        await adopt(system)
        await flights(system)
        await adopt(system, table=TABLE[:1])
        await flights(system)
        await system.client.post("/v1/rules/early/retire", json={"reason": "over"})
        await system.settle()
        await flights(system)
        before, flagged = await days(system), await stated(system, "PredictionsFlagged")
        assert before == [("2013-07-03", 1, 8, 3)]
        consumer = system.consumer("feedback.views")
        await system.stores["feedback"].clear_views("feedback.views")
        for place in await system.log.bounds(["muniment.feedback", "muniment.predictions"]):
            consumer.forget(place)
        await system.settle()
        assert await days(system) == before
        assert [event.id for event in await stated(system, "PredictionsFlagged")] == [event.id for event in flagged]


async def test_a_rule_changes_by_version_and_bad_ones_are_refused() -> None:
    async with running(DEFINITION, max_rules=1) as system:
        assert (await adopt(system))["type"] == "RuleAdopted"
        assert (await adopt(system, status=200))["events"] == []
        await adopt(system, statement="Never.")
        seen = (await system.client.get("/v1/rules/early")).json()
        assert (seen["version"], seen["state"], seen["statement"]) == (2, "in_force", "Never.")
        assert (await adopt(system, "late", 409))["type"].endswith("too-many-rules")
        assert (await adopt(system, status=409, deployment="other"))["type"].endswith("other-deployment")
        bad = [{"when": [{"column": "delay", "value": 1}], "category": "c"}]
        assert (await adopt(system, status=422, table=bad))["type"].endswith("bad-condition")
        assert (await adopt(system, status=422, table=[]))["type"].endswith("invalid-request")
        assert (await system.client.get("/v1/rules/none")).status_code == 404
        assert (await system.client.post("/v1/rules/none/retire", json={"reason": "x"})).status_code == 404
        listed = (await system.client.get("/v1/rules", params={"deployment": "d"})).json()["items"]
        assert [item["rule"] for item in listed] == ["early"]
