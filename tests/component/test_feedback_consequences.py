"""What flags lead to: breached limits, blocked gates, corrected outcomes, and data to train on."""

import hashlib
import io
from typing import Any

import pyarrow.parquet as pq
import pytest

from services.feedback.service import DEFINITION
from services.monitor.service import DEFINITION as MONITOR
from services.registry.service import DEFINITION as REGISTRY
from shared.events import batches
from tests.component.feedback_given import flag, predictions, stated
from tests.support import System, running


async def post(system: System, path: str, body: dict[str, Any], status: int = 201, **headers: str) -> dict[str, Any]:
    answer = await system.client.post(path, json=body, headers=headers)
    assert answer.status_code == status, answer.text
    return answer.json()


async def corrected(system: System, name: str, **more: Any) -> None:
    body = {"resolution": "label_corrected", "comment": "so it was"} | more
    await post(system, f"/v1/flags/{name}/resolve", body, 200, **{"X-Actor": "dan"})
    await system.settle()


@pytest.mark.parametrize(
    ("limits", "bodies", "kind", "value"),
    [
        ({"open_flags": 2}, [{}, {}], "open", 2.0),
        ({"critical": 1}, [{}, {"severity": "critical"}], "severity", 1.0),
        ({"rate": 0.1, "rate_rows": 10}, [{}, {}], "rate", 0.1),
        ({"harm": {"high": 300}, "harm_limit": 600, "unit": "USD"}, [{}, {}], "harm", 600.0),
    ],
)
async def test_each_limit_is_breached_by_what_it_is_about(
    limits: dict, bodies: list[dict], kind: str, value: float
) -> None:
    async with running(DEFINITION) as system:
        answer = await system.client.put("/v1/flag-limits/d", json=limits)
        assert answer.status_code == 200, answer.text
        batch = await predictions(system, 20)
        await system.settle()
        for row, body in enumerate(bodies):
            assert await stated(system, "FlagThresholdBreached") == []
            await post(system, "/v1/flags", flag(f"{batch}-{row}", **body))
        [breach] = await stated(system, "FlagThresholdBreached")
        assert (breach.data.kind, breach.data.value) == (kind, value)
        [row] = (await system.client.get("/v1/breaches", params={"deployment": "d"})).json()["items"]
        assert (row["kind"], row["value"]) == (kind, value)
        [level] = (await system.client.get("/v1/flag-limits/d")).json()["versions"]
        assert level["flags"] == 2


async def test_new_limits_are_held_against_what_is_open_already_and_bad_ones_are_refused() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 5)
        await post(system, "/v1/flags:bulk", {"category": "c", "query": {"deployment": "d"}}, 202)
        await system.settle()
        assert await stated(system, "FlagThresholdBreached") == []
        await system.client.put("/v1/flag-limits/d", json={"open_flags": 5})
        [breach] = await stated(system, "FlagThresholdBreached")
        assert (breach.data.open_flags, breach.data.threshold, breach.data.model) == (5, 5, "m")
        await post(system, "/v1/flags", flag(f"{batch}-0"))
        assert len(await stated(system, "FlagThresholdBreached")) == 1
        bad = await system.client.put("/v1/flag-limits/d", json={"harm_limit": 5})
        assert (bad.status_code, bad.json()["type"].rpartition(":")[2]) == (422, "bad-limits")


async def test_a_flagged_slice_blocks_the_gate_with_the_reason_and_its_resolution_opens_it() -> None:
    async with running(DEFINITION, REGISTRY) as system:
        await released(system)
        gate = "/v1/models/m/versions/1/gate?stage=production"
        assert (await system.client.get(gate)).json()["allowed"] is True
        await predictions(system, 4, segment=["AA", "AA", "UA", "UA"])
        await system.settle()
        sliced = {"deployment": "d", "version": 1, "segment": "AA"}
        body = {"slice": sliced, "category": "biased", "severity": "critical", "comment": "AA is always warned"}
        name = (await post(system, "/v1/flags", body))["id"]
        await system.settle()
        blocked = (await system.client.get(gate)).json()
        [rule] = [rule for rule in blocked["rules"] if not rule["passed"]]
        assert (blocked["allowed"], rule["rule"], rule["evidence"]) == (False, "no-critical-flags", [name])
        assert name in rule["reason"]
        await post(system, f"/v1/flags/{name}/resolve", {"resolution": "data_defect", "comment": "fixed"}, 200)
        await system.settle()
        assert (await system.client.get(gate)).json()["allowed"] is True


async def test_a_critical_bulk_blocks_the_gate_too() -> None:
    async with running(DEFINITION, REGISTRY) as system:
        await released(system)
        await predictions(system, 4)
        body = {"category": "c", "severity": "critical", "query": {"deployment": "d"}}
        asked = await post(system, "/v1/flags:bulk", body, 202)
        await system.settle()
        gate = "/v1/models/m/versions/1/gate?stage=production"
        assert (await system.client.get(gate)).json()["allowed"] is False
        [name] = (await system.client.get(asked["job"])).json()["flags"].values()
        await post(system, f"/v1/flags/{name}/triage", {"assignee": "dan", "severity": "low"}, 200)
        await system.settle()
        assert (await system.client.get(gate)).json()["allowed"] is True


async def released(system: System) -> None:
    """A version whose gate to production is open."""
    await post(system, "/v1/goals", {"name": "g", "question": "?", "owner": "ada"})
    await post(system, "/v1/models", {"name": "m", "goal": "g", "owner": "ada"})
    artifact = {"uri": "external:x", "sha256": "ab" * 32}
    version = {"artifact": artifact, "framework": "any", "signature": {"inputs": [], "outputs": []}}
    await post(system, "/v1/models/m/versions", version)
    of = "/v1/models/m/versions/1"
    await post(system, f"{of}/evidence", {"kind": "quality", "name": "auc", "passed": True})
    word = {"decision": "approve", "role": "risk_manager", "comment": "good"}
    await post(system, f"{of}/approvals", word, 201, **{"X-Actor": "rita"})
    await system.settle()


async def test_a_corrected_label_becomes_the_outcome_once() -> None:
    async with running(DEFINITION, MONITOR) as system:
        batch = await predictions(system, 4, output__p=[0.1, 0.2, 0.3, 0.4])
        await system.settle()
        name = (await post(system, "/v1/flags", flag(f"{batch}-2", expected=1)))["id"]
        same = (await post(system, "/v1/flags", flag(f"{batch}-3", expected=True), 201, **{"X-Actor": "ben"}))["id"]
        await system.settle()
        await post(system, f"/v1/flags/{same}/merge", {"into": name}, 200)
        await corrected(system, name)
        [labels] = await stated(system, "LabelsCorrected")
        [outcome] = await stated(system, "OutcomeLogged", "muniment.outcomes")
        assert (outcome.causationid, outcome.actor) == (labels.id, "dan")
        assert {row["prediction_id"]: row["value"] for row in batches.read(outcome.table or b"").to_pylist()} == {
            f"{batch}-2": 1.0,
            f"{batch}-3": 1.0,
        }
        consumer = system.consumer("monitor.labels")
        [place] = (await system.log.bounds(["muniment.feedback"])).keys()
        await system.stores["monitor"].clear_views("monitor.labels")
        consumer.forget(place)
        await system.settle()  # again, as after a rebuild: the same id
        first, second = await stated(system, "OutcomeLogged", "muniment.outcomes")
        assert first.id == second.id
        assert len(system.stores["monitor"].committed.rows["outcome_events"]) == 1


async def test_of_a_flag_on_many_each_row_has_the_label_that_was_expected_of_it() -> None:
    async with running(DEFINITION) as system:
        batch = await predictions(system, 3, ids=["a", "b", "c"])
        await system.settle()
        csv = "prediction_id,expected\na,1\nb,0\nc,\n"
        kind = {"Content-Type": "text/csv"}
        answer = await system.client.post("/v1/flags:upload?category=missed", content=csv, headers=kind)
        await system.settle()
        [name] = (await system.client.get(answer.json()["job"])).json()["flags"].values()
        await corrected(system, name)
        [labels] = await stated(system, "LabelsCorrected")
        rows = batches.read(labels.table or b"").to_pylist()
        assert [(row["prediction_id"], row["value"]) for row in rows] == [("a", 1.0), ("b", 0.0)]
        exported = await post(system, "/v1/corrections", {"deployment": "d", "dataset": "fixed"})
        assert (exported["rows"], exported["flags"], exported["version"]) == (2, [name], 1)
        assert batch


async def test_what_was_corrected_is_a_data_set_whose_lineage_names_each_flag() -> None:
    async with running(DEFINITION) as system:
        nothing = await system.client.post("/v1/corrections", json={"deployment": "d", "dataset": "fixed"})
        assert (nothing.status_code, nothing.json()["type"].rpartition(":")[2]) == (409, "nothing-corrected")
        batch = await predictions(system, 4, feature__hour=[1, 2, 3, 4], output__p=[0.1, 0.2, 0.3, 0.4])
        await system.settle()
        first = (await post(system, "/v1/flags", flag(f"{batch}-1", expected=1)))["id"]
        query = {"deployment": "d", "where": [{"column": "feature.hour", "op": ">=", "value": 3}]}
        asked = await post(system, "/v1/flags:bulk", {"category": "c", "query": query, "expected": 0}, 202)
        await system.settle()
        [many] = (await system.client.get(asked["job"])).json()["flags"].values()
        await corrected(system, first)
        await corrected(system, many)
        body = {"deployment": "d", "dataset": "fixed"}
        made = await post(system, "/v1/corrections", body)
        assert (made["version"], made["rows"], made["flags"]) == (1, 3, sorted([first, many]))
        await system.settle()
        data = (await system.client.get(made["path"])).content
        assert hashlib.sha256(data).hexdigest() == made["sha256"]
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
        assert [(row["feature.hour"], row["label"], row["flag"], row["resolved_by"]) for row in rows] == [
            (2, 1.0, first, "dan"),
            (3, 0.0, many, "dan"),
            (4, 0.0, many, "dan"),
        ]
        again = await post(system, "/v1/corrections", body, 200)
        assert (again["events"], again["version"], again["id"]) == ([], 1, made["id"])
        [event] = await stated(system, "CorrectionsExported")
        assert event.data.flags == tuple(sorted([first, many]))
