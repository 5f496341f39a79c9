"""Many flags at once: by query, by list, from files; each prediction once, whatever dies meanwhile."""

import asyncio
import io
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.feedback.api import lists
from services.feedback.service import DEFINITION
from services.feedback.worker import bulks
from services.feedback.worker.bulks import Bulks
from shared.events import batches
from shared.events.envelope import Event
from shared.log.tables import Query
from shared.runtime.commands import CommandLoop, new_id
from tests.component.feedback_given import AT, flag, predictions, stated
from tests.support import System, drain, running

CARRIERS = ["AA", "UA", "AA", "AA"]
SCORES = [0.9, 0.9, 0.5, 0.95]
SAID = {"category": "missed", "severity": "high"}


async def flights(system: System, **more: Any) -> str:
    columns: dict[str, Any] = {"feature__carrier": CARRIERS, "output__probability": SCORES, "segment": CARRIERS}
    return await predictions(system, 4, **columns, **more)


async def ask(system: System, body: dict[str, Any], **more: Any) -> dict[str, Any]:
    answer = await system.client.post("/v1/flags:bulk", json=SAID | body, **more)
    assert answer.status_code == 202, answer.text
    assert answer.json()["job"] == f"/v1/flags:bulk/{answer.json()['id']}"
    return answer.json()


async def job(system: System, asked: dict[str, Any]) -> dict[str, Any]:
    await system.settle()
    return (await system.client.get(asked["job"])).json()


def over_80(**more: Any) -> dict[str, Any]:
    where = [
        {"column": "feature.carrier", "op": "=", "value": "AA"},
        {"column": "output.probability", "op": ">", "value": 0.8},
    ]
    return {"query": {"deployment": "d", "where": where} | more}


async def test_all_that_a_query_finds_is_flagged_as_one_flag_per_version() -> None:
    async with running(DEFINITION, partitions=2) as system:
        first, second = await flights(system), await flights(system, version=2)
        await flights(system, at=AT + timedelta(days=1))
        await flights(system, deployment="other")
        asked = await ask(system, over_80(**{"from": AT.isoformat(), "to": (AT + timedelta(days=1)).isoformat()}))
        done = await job(system, asked)
        assert (done["state"], done["flagged"], done["pending"]) == ("completed", 4, 0)
        assert set(done["flags"]) == {"1/missed/high", "2/missed/high"}
        name = done["flags"]["2/missed/high"]
        seen = (await system.client.get(f"/v1/flags/{name}")).json()
        assert (seen["version"], seen["predictions"], seen["segments"], seen["state"]) == (2, 2, {"AA": 2}, "open")
        assert (seen["bulk"], seen["raised_by"]) == (asked["id"], "ada")
        rows = (await system.client.get(f"/v1/flags/{name}/predictions")).json()["items"]
        assert [row["prediction_ids"] for row in rows] == [[f"{second}-0", f"{second}-3"]]
        on_one = (await system.client.get("/v1/flags", params={"prediction_id": f"{first}-3"})).json()["items"]
        assert [item["id"] for item in on_one] == [done["flags"]["1/missed/high"]]
        assert (await system.client.get("/v1/flags", params={"prediction_id": f"{first}-2"})).json()["items"] == []
        counted = (await system.client.get("/v1/flags:summary", params={"deployment": "d"})).json()
        assert (counted["flags"], counted["predictions"]) == (2, 4)


async def test_the_events_of_a_bulk_are_batches_that_name_what_they_touch() -> None:
    async with running(DEFINITION) as system:
        first, second = await flights(system), await flights(system)
        asked = await ask(system, over_80() | {"expected": 1, "comment": "they were late"})
        [event] = await stated(system, "PredictionsFlagged")
        assert event.table is not None
        rows = batches.read(event.table).to_pylist()
        assert [(row["batch"], row["row"], row["expected"]) for row in rows] == [
            (name, row, "1") for name in sorted((first, second)) for row in (0, 3)
        ]
        assert (event.data.batches, event.data.total) == (tuple(sorted((first, second))), 4)
        assert (event.causationid, event.actor) == (asked["id"], "ada")


async def test_what_comes_after_the_question_is_not_in_the_answer() -> None:
    async with running(DEFINITION) as system:
        await flights(system)
        asked = await ask(system, over_80())
        await flights(system)
        assert (await job(system, asked))["flagged"] == 2


@pytest.mark.parametrize("dies", [1, 2, 3])
async def test_a_worker_that_dies_in_a_step_leaves_nothing_twice_and_nothing_out(
    dies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulks, "BATCHES", 1)
    async with running(DEFINITION) as system:
        names = [await flights(system) for _ in range(3)]
        asked = await ask(system, over_80())
        await system.parts["feedback"].relay.once()
        for consumer in system.parts["feedback"].consumers:
            await drain(consumer, system.settings)
        await _die(system, dies)
        assert (await job(system, asked))["flagged"] == 6
        parts = await stated(system, "PredictionsFlagged")
        rows = [(row["batch"], row["row"]) for part in parts for row in batches.read(part.table or b"").to_pylist()]
        assert sorted(rows) == sorted((name, row) for name in names for row in (0, 3))
        assert [part.data.total for part in parts] == [2, 4, 6]


class Killed(BaseException):
    pass


@dataclass(slots=True)
class Dying(CommandLoop):
    """Dies in the `step`th step of a bulk, when all is stated and nothing is committed."""

    step: int = 1

    async def handle_in(self, unit: Any, decider: Any, subject: str, *rest: Any) -> list[Event]:  # type: ignore[override]
        done = await CommandLoop.handle_in(self, unit, decider, subject, *rest)
        self.step -= subject.startswith("bulk/")
        if not self.step:
            raise Killed
        return done


async def _die(system: System, step: int) -> None:
    """Let the job run, and break its `step`th unit of work just before it commits, as a kill would."""
    service = system.services["feedback"]
    with pytest.raises(Killed):
        await Bulks(replace(service, commands=Dying(service.name, service.store, step=step))).run()


async def test_two_workers_at_once_flag_each_prediction_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulks, "BATCHES", 1)
    async with running(DEFINITION) as system:
        for _ in range(4):
            await flights(system)
        asked = await ask(system, over_80())
        await system.parts["feedback"].relay.once()
        for consumer in system.parts["feedback"].consumers:
            await drain(consumer, system.settings)
        service = system.services["feedback"]
        await asyncio.gather(Bulks(service).run(), Bulks(service).run())
        assert (await job(system, asked))["flagged"] == 8
        assert [part.data.part for part in await stated(system, "PredictionsFlagged")] == [1, 2, 3, 4]


async def test_the_same_bulk_again_flags_nothing_that_is_open_already() -> None:
    async with running(DEFINITION) as system:
        await flights(system)
        first = await ask(system, over_80(), headers={"Idempotency-Key": "once"})
        assert (await ask(system, over_80(), headers={"Idempotency-Key": "once"}))["id"] == first["id"]
        assert (await job(system, first))["flagged"] == 2
        again = await ask(system, {"query": {"deployment": "d", "segment": "AA"}})
        assert (await job(system, again))["flagged"] == 1  # the third AA, below 0.8
        other = await ask(system, over_80() | {"category": "other"})
        assert (await job(system, other))["flagged"] == 2


async def test_a_list_names_predictions_by_any_id_and_what_is_not_known_waits() -> None:
    async with running(DEFINITION) as system:
        given = await flights(system)
        own = await predictions(system, 2, ids=["flight-1", "flight-2"], segment=["AA", None])
        later = new_id()
        names = [f"{given}-3", f"{given}-1", "flight-2", "flight-9", f"{given}-4", f"{later}-0", f"{given}-1"]
        asked = await ask(system, {"predictions": names})
        done = await job(system, asked)
        assert (done["state"], done["looked"], done["flagged"], done["pending"], done["refused"]) == (
            "completed",
            6,
            3,
            2,
            1,
        )
        assert "1 ids name no row" in done["reason"]
        [name] = done["flags"].values()
        items = (await system.client.get(f"/v1/flags/{name}/predictions")).json()["items"]
        assert {item["batch"]: item["prediction_ids"] for item in items} == {
            given: [f"{given}-1", f"{given}-3"],
            own: ["flight-2"],
        }
        await predictions(system, 1, batch=later)
        await system.settle()
        [placed] = (await system.client.get("/v1/flags", params={"prediction_id": f"{later}-0"})).json()["items"]
        assert (placed["located"], placed["version"], placed["via"]) == (True, 1, "list")


async def test_what_a_list_names_twice_is_flagged_once_in_whichever_part_and_by_whichever_id(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Parts are done before the views show what the last one flagged."""
    monkeypatch.setattr(lists, "PART", 1)
    async with running(DEFINITION) as system:
        batch = await predictions(system, 3, ids=["flight-1", "flight-2", "zz"])
        await system.settle()
        names = [f"{batch}-0", "flight-1", "flight-1", "zz", f"{batch}-2", "flight-9"]
        asked = await ask(system, {"predictions": names})
        csv = f"prediction_id,category,expected\nflight-2,,1\n{batch}-1,late,2\nflight-2,missed,3\n"
        path, kind = "/v1/flags:upload?category=late", {"Content-Type": "text/csv"}
        sent = (await system.client.post(path, content=csv, headers=kind)).json()
        await Bulks(system.services["feedback"]).run()
        done = await job(system, asked)
        assert [done[count] for count in ("looked", "flagged", "pending", "refused")] == [3, 2, 1, 0]
        assert (await job(system, sent))["flagged"] == 2
        events = await stated(system, "PredictionsFlagged")
        rows = [(one.data.category, row["row"]) for one in events for row in batches.read(one.table).to_pylist()]
        assert sorted(rows) == [("late", 1), ("missed", 0), ("missed", 1), ("missed", 2)]


async def test_files_are_read_row_by_row_and_what_is_wrong_is_told_by_its_number() -> None:
    async with running(DEFINITION) as system:
        given = await flights(system)
        csv = f"prediction_id,severity,expected\n{given}-0,low,1\n{given}-1,,0\n"
        path, params = "/v1/flags:upload", {"category": "missed", "severity": "high"}
        answer = await system.client.post(path, content=csv, params=params, headers={"Content-Type": "text/csv"})
        assert answer.status_code == 202, answer.text
        done = await job(system, answer.json())
        assert (done["flagged"], sorted(done["flags"])) == (2, ["d/1/missed/high", "d/1/missed/low"])
        [part] = (await system.client.get(f"/v1/flags/{done['flags']['d/1/missed/low']}/predictions")).json()["items"]
        assert part["expected"] == {"0": 1}
        sink = io.BytesIO()
        pq.write_table(pa.table({"prediction_id": [f"{given}-2"], "category": ["odd"], "expected": [0.5]}), sink)
        kind = {"Content-Type": "application/vnd.apache.parquet"}
        answer = await system.client.post(path, content=sink.getvalue(), headers=kind)
        assert (await job(system, answer.json()))["flagged"] == 1
        bad = {
            "prediction_id\n": (422, "bad-file"),
            "id\nx\n": (422, "bad-file"),
            "prediction_id,severity\nx,low\ny,awful\n": (422, "bad-row"),
            "prediction_id,expected\nx,late\n": (422, "bad-row"),
            "prediction_id,expected\nx,NaN\n": (422, "bad-row"),
            'prediction_id,expected\nx,"""a\\u0000"""\n': (422, "bad-row"),
            "prediction_id,expected\nx," + "[" * 60 + "]" * 60: (422, "bad-row"),
            "prediction_id\na\0b\n": (422, "bad-row"),
            "prediction_id,prediction_id\nx,y\n": (422, "bad-file"),
            "prediction_id\nx\n".encode("utf-16"): (422, "bad-file"),
        }
        for body, wanted in bad.items():
            told = await system.client.post(path, content=body, params=params, headers={"Content-Type": "text/csv"})
            assert (told.status_code, told.json()["type"].rpartition(":")[2]) == wanted, told.text
        assert (await system.client.post(path, content=b"x", headers=kind)).status_code == 422
        for odd in (pa.array([0], pa.timestamp("ns")), pa.array([b"\xff"])):
            sink = io.BytesIO()
            pq.write_table(pa.table({"prediction_id": ["x"], "category": ["odd"], "expected": odd}), sink)
            told = await system.client.post(path, content=sink.getvalue(), headers=kind)
            assert (told.status_code, "JSON has not" in told.json()["detail"]) == (422, True), told.text
        assert (await system.client.post(path, content=b"{}", params=params)).status_code == 415
        nothing = await system.client.post(path, content="prediction_id\nx\n", headers={"Content-Type": "text/csv"})
        assert nothing.json()["type"].endswith("no-category")


async def test_a_query_for_more_than_a_bulk_may_flag_flags_nothing_and_says_so() -> None:
    async with running(DEFINITION, max_bulk_flags=3) as system:
        for _ in range(3):
            await flights(system)
        small = await job(system, await ask(system, over_80(version=1) | {"category": "a"}))
        assert (small["state"], small["flagged"]) == ("failed", 0)
        assert "more than 3" in small["reason"]
        assert await stated(system, "PredictionsFlagged") == []


async def test_bad_questions_are_refused() -> None:
    async with running(DEFINITION) as system:
        bodies: list[dict[str, Any]] = [
            SAID,
            SAID | {"query": {"deployment": "d"}, "predictions": ["x"]},
            {"query": {"deployment": "d"}},
            SAID | {"query": {"deployment": "d", "where": [{"column": "carrier", "value": "AA"}]}},
            SAID | {"query": {"deployment": "d", "where": [{"column": "feature.x", "op": "in", "value": 3}]}},
            SAID | {"query": {"deployment": "d", "where": [{"column": "feature.x", "op": "like", "value": 3}]}},
            SAID | {"query": {"deployment": "d", "from": "2013-07-03T00:00:00"}},
            {"flags": [flag("x") | {"model": "m"}]},
        ]
        for body in bodies:
            answer = await system.client.post("/v1/flags:bulk", json=body)
            assert answer.status_code == 422, answer.text
            assert answer.headers["content-type"] == "application/problem+json"
        assert (await system.client.get("/v1/flags:bulk/none")).status_code == 404
        assert (await system.client.get("/v1/flags:bulk")).json()["items"] == []


async def test_a_job_is_known_however_far_the_views_are() -> None:
    async with running(DEFINITION) as system:
        batch = await flights(system)
        await system.settle()
        asked = await ask(system, {"predictions": [f"{batch}-0", f"{batch}-1"]})
        assert (await system.client.get(asked["job"])).json()["state"] == "requested"
        await Bulks(system.services["feedback"]).run()
        told = (await system.client.get(asked["job"])).json()
        assert (told["state"], told["looked"], told["flagged"]) == ("running", 2, 2)
        assert (await job(system, asked))["state"] == "completed"
        assert (await system.client.get("/v1/flags:bulk/none")).status_code == 404


async def test_two_bulks_over_the_same_rows_at_the_same_moment_flag_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulks, "BATCHES", 1)
    async with running(DEFINITION, partitions=2) as system:
        given = [await flights(system) for _ in range(3)]
        single = await system.client.post("/v1/flags", json=flag(f"{given[0]}-0"))
        await system.settle()
        listed = {"predictions": [f"{name}-{row}" for name in given for row in range(4)], "category": "missed"}
        asked = [await ask(system, over_80()), await ask(system, listed), await ask(system, over_80())]
        service = system.services["feedback"]
        await asyncio.gather(*(Bulks(service).run() for _ in range(3)))  # the views show nothing of it meanwhile
        done = [await job(system, one) for one in asked]
        assert [one["state"] for one in done] == ["completed"] * 3
        assert sum(one["flagged"] for one in done) == 11  # all 12 but the one that was flagged singly
        flagged = [
            (table["batch"][at].as_py(), table["row"][at].as_py())
            for event in await stated(system, "PredictionsFlagged")
            for table in [batches.read(event.table)]
            for at in range(table.num_rows)
        ]
        assert len(flagged) == len(set(flagged)) == 11
        assert (given[0], 0) not in flagged
        assert await service.store.find(Query("claims")) == await service.store.find(Query("bulk_work")) == []
        name = next(iter(done[0]["flags"].values()), None) or next(iter(done[1]["flags"].values()))
        answer = {"resolution": "works_as_intended", "comment": "It was a storm."}
        await system.client.post(f"/v1/flags/{name}/resolve", json=answer)
        await system.client.post(f"/v1/flags/{single.json()['id']}/resolve", json=answer)
        await system.settle()
        again = await job(system, await ask(system, over_80()))
        assert again["flagged"] > 0  # what was answered may be flagged anew


async def test_what_waits_already_in_the_same_words_waits_once() -> None:
    async with running(DEFINITION) as system:
        single = await system.client.post("/v1/flags", json=flag("flight-7"))
        for category in ("missed", "missed", "odd"):
            done = await job(system, await ask(system, {"predictions": ["flight-7"], "category": category}))
            assert (done["state"], done["pending"]) == ("completed", 1)
        raised = [event.data for event in await stated(system, "FeedbackFlagged")]
        assert [(one.category, one.prediction_id) for one in raised] == [("missed", "flight-7"), ("odd", "flight-7")]
        assert raised[0].flag == single.json()["id"]
