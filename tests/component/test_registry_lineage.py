"""OpenLineage's own client against the registry: its events become data sets, pipelines and runs, in any order."""

import gzip
import itertools
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Dataset, DatasetEvent, InputDataset, Job, JobEvent, OutputDataset, Run, RunEvent
from openlineage.client.event_v2 import RunState as State
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_metrics_input_dataset,
    documentation_dataset,
    output_statistics_output_dataset,
    schema_dataset,
    source_code_location_job,
)
from openlineage.client.serde import Serde
from openlineage.client.transport.http import HttpCompression, HttpConfig, HttpTransport

from services.registry.domain.lineage_facts import registry_name
from services.registry.service import DEFINITION
from tests.component.served import served
from tests.support import System, running

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
AT = datetime(2013, 4, 1, 12, tzinfo=UTC)
RAW, FLIGHTS = registry_name("pg://db:5432", "raw.flights"), registry_name("pg://db:5432", "clean.flights")
TRAIN = registry_name("airflow", "flights.clean")
PRODUCER = "https://example.org/airflow"


def fields(*names: str) -> Any:
    return schema_dataset.SchemaDatasetFacet([schema_dataset.SchemaDatasetFacetFields(one, "double") for one in names])


def raw() -> InputDataset:
    metrics = data_quality_metrics_input_dataset.ColumnMetrics(nullCount=3, distinctCount=20, min=-5.0, max=60.0)
    quality = data_quality_metrics_input_dataset.DataQualityMetricsInputDatasetFacet(
        rowCount=100, columnMetrics={"delay": metrics}
    )
    facets = {"schema": fields("delay"), "documentation": documentation_dataset.DocumentationDatasetFacet("as it came")}
    return InputDataset("pg://db:5432", "raw.flights", facets=facets, inputFacets={"dataQualityMetrics": quality})


def clean() -> OutputDataset:
    source = column_lineage_dataset.InputField("pg://db:5432", "raw.flights", "delay")
    made = column_lineage_dataset.Fields(inputFields=[source])
    facets = {
        "schema": fields("late"),
        "columnLineage": column_lineage_dataset.ColumnLineageDatasetFacet({"late": made}),
    }
    counted = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(rowCount=97, size=4_000)
    return OutputDataset("pg://db:5432", "clean.flights", facets=facets, outputFacets={"outputStatistics": counted})


def job() -> Job:
    code = source_code_location_job.SourceCodeLocationJobFacet(
        "git", "https://example.org/flights.git", version="0123abcd"
    )
    return Job("airflow", "flights.clean", facets={"sourceCodeLocation": code})


def events(run: str = RUN) -> list[Any]:
    """A START that knows the inputs, a COMPLETE that knows the outputs."""

    def at(seconds: int) -> str:
        return (AT + timedelta(seconds=seconds)).isoformat()

    def told(moment: str, state: State, **more: Any) -> RunEvent:
        return RunEvent(eventTime=moment, run=Run(run), job=job(), producer=PRODUCER, eventType=state, **more)

    return [
        told(at(0), State.START, inputs=[raw()]),
        told(at(30), State.RUNNING),
        told(at(60), State.COMPLETE, outputs=[clean()]),
    ]


def bodies(run: str = RUN) -> list[dict[str, Any]]:
    return [json.loads(Serde.to_json(event)) for event in events(run)]


async def get(system: System, path: str) -> Any:
    answer = await system.client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def seen(system: System) -> dict[str, Any]:
    """What the registry says about the run and all that belongs to it, without ids and times of events."""
    [run] = (await get(system, f"/v1/pipelines/{TRAIN}/runs"))["items"]
    found = {"run": run, "pipeline": await get(system, f"/v1/pipelines/{TRAIN}")}
    found |= {name: await get(system, f"/v1/datasets/{name}") for name in (RAW, FLIGHTS)}
    for said in found.values():
        for key in ("event_id", "at", "actor", "version", "versions"):
            said.pop(key, None)
    for side in ("inputs", "outputs"):
        run[side] = [ref["dataset"] for ref in run[side]]
    return found


def test_the_real_clients_events_become_pipelines_runs_and_data_sets(tmp_path: Path) -> None:
    with served(DEFINITION, tmp_path) as address:
        for compression in (None, HttpCompression.GZIP):
            config = HttpConfig(url=address, compression=compression)
            client = OpenLineageClient(transport=HttpTransport(config))
            for event in events():
                client.emit(event)
        client.emit(JobEvent(eventTime=AT.isoformat(), job=job(), producer=PRODUCER, inputs=[raw()], outputs=[clean()]))
        airports = Dataset("muniment", "airports", facets={"schema": fields("lat")})
        client.emit(DatasetEvent(eventTime=AT.isoformat(), dataset=airports, producer=PRODUCER))
        reports = _until(address, "/v1/lineage-reports", lambda said: len(said["items"]) == 5)
        assert {one["kind"] for one in reports["items"]} == {"run", "job", "dataset"}
        [kept] = [one["body"] for one in reports["items"] if one["state"] == "COMPLETE"]
        sent = bodies()[2]
        assert (kept["outputs"], kept["eventTime"]) == (sent["outputs"], sent["eventTime"])
        assert kept["job"]["facets"].items() >= sent["job"]["facets"].items()
        assert kept["run"]["facets"]["tags"]["tags"]  # the client's own, which this registry does not know
        runs = _until(address, f"/v1/pipelines/{TRAIN}/runs", lambda said: said["items"][:1] and _ended(said))
        [run] = runs["items"]
        assert (run["started_at"], run["ended_at"]) == ("2013-04-01T12:00:00Z", "2013-04-01T12:01:00Z")
        airports = _until(address, "/v1/datasets/airports", lambda said: "columns" in said)
        assert [one["name"] for one in airports["columns"]] == ["lat"]


def _ended(said: dict[str, Any]) -> bool:
    return said["items"][0]["state"] == "succeeded"


def _until(address: str, path: str, enough: Any) -> dict[str, Any]:
    """What a path answers as soon as it says enough; each try waits for the server, which is at work meanwhile."""
    for _ in range(2_000):
        said = httpx.get(address + path, timeout=60).json()
        if said.get("status") != 404 and enough(said):
            return said
    raise AssertionError(f"{path} never said enough: {said}")


async def test_any_order_and_repetition_ends_in_the_same_facts() -> None:
    expected: dict[str, Any] = {}
    for order in itertools.permutations(bodies()):
        async with running(DEFINITION) as system:
            for body in (*order, order[0]):
                answer = await system.client.post("/api/v1/lineage", json=body)
                assert answer.status_code in (200, 201), answer.text
                await system.settle()
            found = await seen(system)
            expected = expected or found
            assert found == expected
            assert len((await get(system, "/v1/lineage-reports"))["items"]) == 3
    run = expected["run"]
    assert (run["state"], run["inputs"], run["outputs"]) == ("succeeded", [RAW], [FLIGHTS])
    assert run["code"] == {"repo": "https://example.org/flights.git", "commit": "0123abcd", "path": None}
    assert (expected[RAW]["rows"], expected[RAW]["description"]) == (100, "as it came")
    [delay] = expected[RAW]["columns"]
    assert delay["statistics"] == {"missing": 3.0, "distinct": 20.0, "min": -5.0, "max": 60.0}
    assert (expected[FLIGHTS]["rows"], expected[FLIGHTS]["bytes"]) == (97, 4_000)
    assert [one["sources"] for one in expected[FLIGHTS]["columns"]] == [[f"{RAW}.delay"]]
    assert expected["pipeline"]["steps"][0]["outputs"] == [FLIGHTS]


async def test_columns_are_followed_up_and_down() -> None:
    async with running(DEFINITION) as system:
        for name, sources in (("b", ["a.x"]), ("c", ["b.y", "other.z"])):
            column = {"name": "y", "type": "double", "sources": sources}
            await system.client.post("/v1/datasets", json={"name": name, "uri": "x:y", "columns": [column]})
        await system.client.post(
            "/v1/datasets", json={"name": "a", "uri": "x:y", "columns": [{"name": "x", "type": "double"}]}
        )
        await system.settle()
        up = await get(system, "/v1/datasets/c/columns/y/lineage")
        assert [(one["from"], one["to"]) for one in up["edges"]] == [("b.y", "c.y"), ("other.z", "c.y"), ("a.x", "b.y")]
        down = await get(system, "/v1/datasets/a/columns/x/lineage?direction=down&depth=1")
        assert ([(one["from"], one["to"]) for one in down["edges"]], down["complete"]) == ([("a.x", "b.y")], False)
        again = {"name": "b", "uri": "x:y", "columns": [{"name": "y", "type": "double"}]}
        await system.client.post("/v1/datasets", json=again)
        await system.settle()
        assert (await get(system, "/v1/datasets/a/columns/x/lineage?direction=down"))["edges"] == []
        assert (await system.client.get("/v1/datasets/c/columns/q/lineage")).status_code == 404


async def test_a_batch_keeps_what_is_right_and_tells_what_is_wrong() -> None:
    async with running(DEFINITION, lineage_batch_events=5) as system:
        first, second, third = bodies()
        wrong = {**first, "run": {"runId": "7"}}
        answer = await system.client.post("/api/v1/lineage/batch", json=[first, wrong, second, third, first])
        said = answer.json()
        assert (answer.status_code, said["status"]) == (200, "partial_success")
        assert said["summary"] == {"received": 5, "successful": 4, "failed": 1, "new": 3}
        assert [(one["index"], one["retriable"]) for one in said["failed_events"]] == [(1, False)]
        assert "runId" in said["failed_events"][0]["reason"]
        await system.settle()
        assert _ended(await get(system, f"/v1/pipelines/{TRAIN}/runs"))
        assert (await system.client.post("/api/v1/lineage/batch", json=[first] * 6)).status_code == 413


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"eventTime": "soon"}, "/eventTime"),
        ({"producer": None}, "/producer"),
        ({"run": {"runId": "7"}}, "/run/runId"),
        ({"eventType": "DONE"}, "/eventType"),
        ({"job": {"namespace": "n"}}, "/job/name"),
        ({"inputs": [{"namespace": "n", "name": "x" * 801}]}, "/inputs/0/name"),
        ({"outputs": {}}, "/outputs"),
        ({"job": {"namespace": "n", "name": "x", "facets": {"a": 1}}}, "/job/facets/a"),
    ],
)
async def test_what_is_no_event_is_refused_and_says_where(change: dict[str, Any], pointer: str) -> None:
    async with running(DEFINITION) as system:
        answer = await system.client.post("/api/v1/lineage", json=bodies()[0] | change)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:muniment:problem:not-openlineage")
        assert answer.json()["errors"][0]["pointer"] == pointer


async def test_bodies_are_bounded_however_they_are_packed() -> None:
    async with running(DEFINITION, max_body_bytes=20_000) as system:
        packed = gzip.compress(json.dumps(bodies()[0] | {"more": "x" * 100_000}).encode())
        headers = {"Content-Encoding": "gzip", "Content-Type": "application/octet-stream"}
        answer = await system.client.post("/api/v1/lineage", content=packed, headers=headers)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:muniment:problem:body-too-large")
        torn = gzip.compress(json.dumps(bodies()[0]).encode())[:-20]
        assert (await system.client.post("/api/v1/lineage", content=torn, headers=headers)).status_code == 400
        assert (await system.client.post("/api/v1/lineage", content=b"{", headers={})).status_code == 400


async def test_a_rebuild_derives_nothing_anew() -> None:
    async with running(DEFINITION) as system:
        for body in bodies():
            await system.client.post("/api/v1/lineage", json=body)
            await system.settle()
        before = await seen(system)
        versions = len((await get(system, f"/v1/datasets/{RAW}"))["versions"])
        for consumer in system.parts["registry"].consumers:
            await system.stores["registry"].clear_views(consumer.name)
            for place in await system.log.bounds(consumer.topics):
                consumer.forget(place)
        await system.settle()
        assert await seen(system) == before
        assert len((await get(system, f"/v1/datasets/{RAW}"))["versions"]) == versions
