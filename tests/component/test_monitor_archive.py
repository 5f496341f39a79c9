"""The archive: found by id, exported by any slice, packed, kept as long as wanted, and nothing twice or lost."""

import io
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from services.monitor.archive import CONSUMER, blocks
from services.monitor.archive.files import Files
from services.monitor.archive.packing import Packing
from services.monitor.archive.sweeping import Sweeping
from shared.events.batches import prediction_id
from shared.log.records import TopicPartition
from shared.runtime.commands import new_id, now
from tests.component.monitor_story import AT, DAY, body, monitoring, row
from tests.support import System

DIRECT = {"archive_direct_rows": 1}


def rows(count: int, first: int = 0, **changed: Any) -> list[dict[str, Any]]:
    """Predictions a minute apart whose outputs tell them apart."""
    return [
        row(at=(AT + timedelta(minutes=first + n)).isoformat(), output={"probability": (first + n) / 1_000}) | changed
        for n in range(count)
    ]


async def post(system: System, *predictions: dict[str, Any], version: int = 1) -> list[str]:
    answer = await system.client.post("/v1/predictions", json=body(*predictions, version=version))
    assert answer.status_code == 202, answer.text
    await system.settle()
    return answer.json()["ids"]


async def listed(system: System, **query: Any) -> list[dict[str, Any]]:
    """Every item, page by page."""
    items: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        asked = {"limit": 3} | query | ({"cursor": cursor} if cursor else {})
        answer = await system.client.get("/v1/deployments/late/predictions", params=asked)
        assert answer.status_code == 200, answer.text
        items += answer.json()["items"]
        cursor = answer.json()["next"]
        if cursor is None:
            return items


async def exported(system: System, **query: Any) -> pa.Table:
    answer = await system.client.get("/v1/deployments/late/predictions", params={"format": "parquet"} | query)
    assert answer.status_code == 200, answer.text
    assert "late.parquet" in answer.headers["content-disposition"]
    return pq.read_table(io.BytesIO(answer.content))


def pack(system: System, **changed: Any) -> Packing:
    settings = system.settings.model_copy(update={"archive_after_seconds": 0.0} | changed)
    return Packing(system.stores["monitor"], Files.of(settings), settings)


def files(system: System) -> list[Path]:
    return sorted((Path(system.settings.data_dir) / "archive").rglob("*.parquet"))


async def look(system: System, name: str) -> Any:
    return (await system.client.get(f"/v1/predictions/{name}")).json()


@pytest.mark.parametrize("direct", [True, False])
async def test_a_prediction_reads_the_same_young_packed_or_off_the_log(direct: bool) -> None:
    async with monitoring(**(DIRECT if direct else {})) as system:
        ids = await post(
            system, *rows(4), row(id="mine", entity="e", segment="s", features={"hour": 7, "carrier": "UA"})
        )
        before = [await look(system, name) for name in ids]
        assert len(files(system)) == int(direct)
        await pack(system).run()
        assert len(files(system)) == 1
        assert [await look(system, name) for name in ids] == before
        assert before[4]["features"] == {"hour": 7, "wind": None, "carrier": "UA", "holiday": None}
        assert (before[4]["entity"], before[4]["segment"]) == ("e", "s")
        files(system)[0].unlink()  # the log still has it
        assert [await look(system, name) for name in ids] == before


async def test_a_block_is_a_parquet_file_in_hives_layout_that_anybody_reads() -> None:
    async with monitoring(**DIRECT) as system:
        (first, *_) = await post(system, *rows(3))
        (path,) = files(system)
        assert path.parent.relative_to(Path(system.settings.data_dir) / "archive").parts == (
            "deployment=late",
            "version=1",
            "day=2013-04-01",
        )
        table = pq.ParquetFile(path).read()
        assert table.column_names[:3] == ["batch", "row", "at"]
        assert prediction_id(table["batch"][0].as_py(), table["row"][0].as_py()) == first
        assert table.column("feature.hour").to_pylist() == [5, 5, 5]


async def test_pages_tell_everything_once_while_young_batches_are_packed() -> None:
    async with monitoring() as system:
        ids: list[str] = []
        for part in range(4):
            ids += await post(system, *rows(4, first=part * 4))
        query = {"limit": 3}
        items: list[dict[str, Any]] = []
        for step in range(10):
            answer = (await system.client.get("/v1/deployments/late/predictions", params=query)).json()
            items += answer["items"]
            if answer["next"] is None:
                break
            query["cursor"] = answer["next"]
            if step in (1, 3):  # two batches into a block behind the reader's back
                await _pack_some(system, 8)
        assert sorted(item["id"] for item in items) == sorted(ids)
        assert [item["id"] for item in await listed(system)] == [item["id"] for item in await listed(system, limit=100)]


async def _pack_some(system: System, count: int) -> None:
    await pack(system, archive_block_rows=count)._pack((await pack(system)._ripe())[0])


async def test_any_slice_as_parquet_json_and_lines() -> None:
    async with monitoring(**DIRECT) as system:
        ids = await post(system, *rows(10), *rows(5, first=10, segment="north", entity="JFK"))
        await post(system, *rows(3, first=100), version=2)
        outcomes = [{"prediction_id": ids[n], "value": n % 2} for n in (3, 4, 12)]
        await system.client.post("/v1/outcomes", json={"outcomes": outcomes})
        await system.settle()
        at = (AT + timedelta(minutes=2)).isoformat()
        until = (AT + timedelta(minutes=5)).isoformat()
        slices: list[tuple[dict[str, Any], list[str]]] = [
            ({"version": 1}, ids),
            ({"from": at, "to": until}, ids[2:5]),
            ({"segment": "north"}, ids[10:]),
            ({"entity": "JFK", "min_output": 0.012}, ids[12:]),
            ({"version": 1, "min_output": 0.002, "max_output": 0.003, "output": "probability"}, ids[2:4]),
            ({"outcome": "known"}, [ids[3], ids[4], ids[12]]),
            ({"outcome": "unknown", "segment": "north"}, [ids[10], ids[11], ids[13], ids[14]]),
            ({"segment": "nowhere"}, []),
        ]
        for query, expected in slices:
            table = await exported(system, **query)
            assert table["prediction_id"].to_pylist() == expected, query
            assert [item["id"] for item in await listed(system, **query)] == expected
            answer = await system.client.get("/v1/deployments/late/predictions", params={"format": "ndjson"} | query)
            assert [json.loads(line)["id"] for line in answer.text.splitlines()] == expected
        table = await exported(system)
        assert table.num_rows == 18
        assert table.column_names == [
            *("prediction_id", "deployment", "version", "at", "entity", "segment"),
            *("feature.carrier", "feature.holiday", "feature.hour", "feature.wind"),
            *("output.probability", "outcome", "outcome_at"),
        ]
        assert table["outcome"].to_pylist()[2:6] == [None, 1.0, 0.0, None]
        (item,) = await listed(system, min_output=0.003, max_output=0.003, version=1)
        assert (item["outcome"], item["features"]["carrier"], item["version"]) == (1.0, "AA", 1)


async def test_own_ids_sent_again_are_the_same_predictions() -> None:
    async with monitoring() as system:
        await post(system, row(id="one"), row(id="two"))
        await post(system, row(id="two", output={"probability": 0.75}), row(id="three"))
        assert (await exported(system))["prediction_id"].to_pylist() == ["one", "two", "three"]


async def test_a_batch_delivered_again_is_archived_once_and_a_torn_transaction_leaves_only_a_file() -> None:
    async with monitoring(**DIRECT) as system:
        ids = await post(system, *rows(3))
        store, consumer = system.stores["monitor"], system.consumer(CONSUMER)
        place = TopicPartition("muniment.predictions", 0)
        records = await system.log.read(place, 0, 10)
        consumer.forget(place)
        store.committed.claims.pop((CONSUMER, place))  # type: ignore[arg-type]
        await consumer.catch_up(place, records)
        assert (await exported(system))["prediction_id"].to_pylist() == ids
        assert len(files(system)) == 1


async def test_files_that_no_block_names_are_removed_once_they_are_old_enough() -> None:
    async with monitoring(**DIRECT) as system:
        await post(system, *rows(3))
        (mine,) = files(system)
        orphan, stranger = mine.with_name(f"{new_id()}.parquet"), mine.with_name("notes.parquet")
        orphan.write_bytes(b"left by a killed process")
        stranger.write_bytes(b"of somebody else")
        service = system.services["monitor"]
        archive_files = Files.of(system.settings)
        await Sweeping(service, archive_files).run()
        assert orphan.exists()  # it may be about to be named
        service.settings = system.settings.model_copy(update={"archive_orphan_seconds": 0.0})
        await Sweeping(service, archive_files).run()
        assert (mine.exists(), orphan.exists(), stranger.exists()) == (True, False, True)
        assert blocks.block_of(str(orphan)) not in {row["block"] for row in await _blocks(system)}


async def _blocks(system: System) -> list[dict[str, Any]]:
    return list(system.stores["monitor"].committed.rows["archive_blocks"].values())


async def test_retention_is_on_record_and_what_is_older_is_gone() -> None:
    async with monitoring(**DIRECT) as system:
        today = now()
        past = (today - 40 * DAY).isoformat()
        old = await post(system, row(at=past), row(id="mine", at=past))
        young = await post(system, row(at=today.isoformat()))
        path = "/v1/deployments/late/retention"
        assert (await system.client.get(path)).json()["days"] == 0
        answer = await system.client.put(path, json={"days": 30, "reason": "policy 7"}, headers={"X-Roles": "devops"})
        assert (answer.status_code, answer.json()["type"]) == (200, "RetentionSet")
        again = await system.client.put(path, json={"days": 30})
        assert again.json()["events"] == []
        await system.settle()
        await Sweeping(system.services["monitor"], Files.of(system.settings)).run()
        await system.settle()
        assert (await exported(system))["prediction_id"].to_pylist() == young
        gone = await look(system, old[0])
        assert (gone["status"], gone["type"]) == (410, "urn:muniment:problem:prediction-expired")
        assert (await look(system, "mine"))["status"] == 404  # its own id is forgotten too
        policy = (await system.client.get(path)).json()
        assert (policy["days"], policy["reason"], policy["actor"]) == (30, "policy 7", "ada")
        assert policy["expired_before"] is not None
        sizes = (await system.client.get("/v1/deployments/late/archive")).json()
        assert (sizes["predictions"], sizes["blocks"], len(files(system))) == (1, 1, 1)
        assert sizes["bytes_per_prediction"] > 0


async def test_bad_requests_are_told() -> None:
    async with monitoring(max_exports=0) as system:
        await post(system, *rows(1))
        url = "/v1/deployments/late/predictions"
        cases: list[tuple[str, dict[str, Any], int, str]] = [
            (url, {"from": "2013-04-01T00:00:00"}, 422, "time-without-zone"),
            (url, {"from": "2013"}, 422, "invalid-request"),
            (url, {"min_output": 0.1, "output": "risk"}, 422, "unknown-output"),
            (url, {"cursor": "nonsense"}, 422, "bad-cursor"),
            (url, {"format": "parquet"}, 503, "too-many-exports"),
            ("/v1/deployments/lat/predictions", {}, 404, "unknown-deployment"),
            ("/v1/deployments/lat/archive", {}, 404, "unknown-deployment"),
        ]
        for path, query, status, code in cases:
            answer = await system.client.get(path, params=query)
            assert (answer.status_code, answer.json()["type"]) == (status, f"urn:muniment:problem:{code}"), path
        for days in (-1, True, "5"):
            answer = await system.client.put("/v1/deployments/late/retention", json={"days": days})
            assert answer.status_code == 422


async def test_versions_whose_columns_disagree_are_exported_one_by_one() -> None:
    async with monitoring(**DIRECT) as system:
        await post(system, row())
        await post(system, row(features={"hour": "five"}, output={"probability": 0.5}), version=3)
        answer = await system.client.get("/v1/deployments/late/predictions", params={"format": "parquet"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:muniment:problem:mixed-types")
        assert (await exported(system, version=3))["feature.hour"].to_pylist() == ["five"]
        assert len(await listed(system)) == 2
