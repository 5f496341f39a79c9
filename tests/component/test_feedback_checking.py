"""Whatever came first, a replay of the log in another order gives feedback's views; and audit finds what they touch."""

from typing import Any

from services.audit.service import DEFINITION as AUDIT
from services.feedback.service import DEFINITION
from shared.log.memory import MemoryStore
from shared.runtime.checking import check_views
from shared.runtime.checking.replaying import backwards, facts_first
from shared.runtime.commands import new_id
from tests.component.feedback_given import flag, predictions, stated
from tests.component.test_feedback_rules import RULE
from tests.support import System, running


async def checked(system: System) -> dict[str, int]:
    for order in (backwards, sorted, facts_first):
        scratch = MemoryStore("feedback_check", DEFINITION.tables)
        outcome = await check_views(DEFINITION, system.services["feedback"], scratch, order)
        assert (outcome.verdict, outcome.first_difference, outcome.reason) == ("equal", None, None)
    return {table.name: table.live_rows for table in outcome.tables}


async def post(system: System, path: str, body: dict[str, Any], who: str = "ada") -> dict[str, Any]:
    answer = await system.client.post(path, json=body, headers={"X-Actor": who})
    assert answer.status_code in (200, 201, 202), answer.text
    await system.settle()
    return answer.json()


async def told(system: System) -> dict[str, str]:
    """A story in which flags and predictions meet in every order; returns a batch, and a flag on many."""
    columns: dict[str, Any] = {"feature__delay": [-5.0, 3.0, None, 9.0], "output__p": [0.9, 0.9, 0.9, 0.1]}
    assert (await system.client.put("/v1/rules/early", json=RULE)).status_code == 201
    await system.client.put("/v1/flag-limits/d", json={"open_flags": 3, "critical": 1})
    later = new_id()
    pending = await post(system, "/v1/flags", flag(f"{later}-1"))
    own = await post(system, "/v1/flags", flag("flight-2"), "ben")
    batch = await predictions(system, 4, segment=["AA", "AA", "UA", None], **columns)
    await system.settle()
    await predictions(system, 4, batch=later, segment=["UA"] * 4, **columns)
    await predictions(system, 2, ids=["flight-1", "flight-2"], version=2, segment=["AA", "UA"])
    await system.settle()
    query = {"deployment": "d", "where": [{"column": "output.p", "op": ">", "value": 0.5}]}
    asked = await post(system, "/v1/flags:bulk", {"category": "c", "severity": "critical", "query": query})
    done = (await system.client.get(asked["job"])).json()
    many = done["flags"]["1/c/critical"]
    await post(system, f"/v1/flags/{pending['id']}/merge", {"into": many}, "dan")
    await post(system, f"/v1/flags/{own['id']}/triage", {"assignee": "dan", "severity": "low"})
    await post(system, f"/v1/flags/{own['id']}/comments", {"comment": "look"}, "dan")
    await post(
        system, f"/v1/flags/{many}/resolve", {"resolution": "label_corrected", "comment": "so", "label": 1}, "dan"
    )
    review = await post(system, "/v1/reviews", {"query": {"deployment": "d", "version": 1}, "size": 2})
    items = (await system.client.get(f"/v1/reviews/{review['id']}/items")).json()["items"]
    words = [{"prediction_id": items[0]["prediction_id"], "wrong": True}]
    await post(system, f"/v1/reviews/{review['id']}/judgements", {"judgements": words})
    await post(system, "/v1/corrections", {"deployment": "d", "dataset": "fixed"})
    return {"batch": batch, "many": many}


async def test_any_order_of_the_log_gives_the_same_views() -> None:
    async with running(DEFINITION, partitions=3, check_pause_seconds=0.0) as system:
        await told(system)
        before = await stated(system, "FlagThresholdBreached")
        counted = await checked(system)
        assert counted["flagged"] >= 4
        assert counted["rule_rates"] >= 2
        assert counted["notices"] >= 4
        assert counted["levels"] == 2
        assert [event.id for event in await stated(system, "FlagThresholdBreached")] == [event.id for event in before]


async def test_a_rebuild_of_the_views_states_nothing_anew() -> None:
    async with running(DEFINITION, partitions=3) as system:
        await told(system)
        places = await system.log.bounds(["muniment.feedback", "muniment.predictions"])
        await system.stores["feedback"].clear_views("feedback.views")
        for place in places:
            system.consumer("feedback.views").forget(place)
        await system.settle()
        assert await system.log.bounds(["muniment.feedback", "muniment.predictions"]) == places


async def test_the_audit_finds_the_batches_of_a_flag_and_the_flags_of_a_prediction() -> None:
    async with running(DEFINITION, AUDIT) as system:
        names = await told(system)
        await system.settle()
        lineage = (await system.client.get(f"/v1/lineage/flag/{names['many']}")).json()
        ends = {(edge["src"], edge["dst"]) for edge in lineage["edges"]}
        assert (f"flag/{names['many']}", f"batch/{names['batch']}") in ends
        assert (f"flag/{names['many']}", "version/m@1") in ends
        for row, on_it in ((0, True), (3, False)):
            dossier = (await system.client.get(f"/v1/dossier/{names['batch']}-{row}")).json()
            found = {one["id"] for one in dossier["flags"]}
            assert (names["many"] in found) is on_it
