"""The registry over HTTP, on Kafka: versions registered against MLflow's `model-versions/create` on PostgreSQL,
OpenLineage events against Marquez (both as seen on such a machine: 240/s with 4 workers, 98/s), and how a gate and a
page of versions stand when there are many versions."""

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

import httpx
import orjson

from bench.http_load import post, rate
from bench.line import Line
from bench.stack import Stack

CONNECTIONS = 16
SECONDS = 4.0
MLFLOW = 240
MARQUEZ = 98
VERSIONS = 10_000
BATCH = 100
GATE_MS = 10.0
ASKED = 50
PATH = "/api/2.0/mlflow"


async def measure(stack: Stack) -> list[Line]:
    ports = [stack.process(f"registry-{place}", ["-m", "services.registry", "api"]) for place in range(2)]
    stack.process("registry-worker", ["-m", "services.registry", "worker"])
    registered = [await _registered(ports, _through_mlflow, "MLflow's API")]
    registered.append(await _registered(ports, _native, "the native API"))
    lineage = [await _lineage(ports, 1), await _lineage(ports, BATCH)]
    return [*registered, *lineage, *await _many(ports[0])]


async def _registered(ports: list[int], request: Callable[[str], bytes], named: str) -> Line:
    """Versions per second, each connection registering those of a model of its own."""
    names = [f"m-{uuid4().hex}" for _ in range(CONNECTIONS)]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}") as client:
        for name in names:
            (await client.post(f"{PATH}/registered-models/create", json={"name": name})).raise_for_status()
    mine = await _together(ports, [request(name) for name in names])
    figures = f"{mine:,.0f} versions/s, {CONNECTIONS} models, {len(ports)} processes and a worker"
    return Line(f"versions registered by {named}", mine / MLFLOW, f"MLflow's {MLFLOW}/s", 5, figures)


def _through_mlflow(name: str) -> bytes:
    body = {"name": name, "source": f"s3://models/{name}", "run_id": "r1", "tags": [{"key": "k", "value": "v"}]}
    return post(f"{PATH}/model-versions/create", orjson.dumps(body), "application/json")


def _native(name: str) -> bytes:
    fields = {"hour": "double", "carrier": "string"}
    body = {
        "artifact": {"uri": f"s3://models/{name}", "sha256": "ab" * 32},
        "signature": {"inputs": fields, "outputs": {"p": "double"}},
        "params": {"C": 1.0},
        "metrics": {"auc": 0.66},
    }
    return post(f"/v1/models/{name}/versions", orjson.dumps(body), "application/json")


async def _together(ports: list[int], requests: list[bytes]) -> float:
    """Answers per second of all requests, each repeated on a connection of its own."""
    shared = [(ports[place % len(ports)], request) for place, request in enumerate(requests)]
    await asyncio.gather(*(rate(port, request, 1, SECONDS / 4) for port, request in shared))  # warm
    return sum(await asyncio.gather(*(rate(port, request, 1, SECONDS) for port, request in shared)))


async def _lineage(ports: list[int], size: int) -> Line:
    """OpenLineage events per second, new ones each time: one per request, or as batches."""
    path = "/api/v1/lineage" if size == 1 else "/api/v1/lineage/batch"
    until = time.perf_counter() + SECONDS

    async def send(place: int) -> int:
        sent = 0
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[place % len(ports)]}", timeout=30) as client:
            while time.perf_counter() < until:
                events = [event(place) for _ in range(size)]
                body = orjson.dumps(events[0] if size == 1 else events)
                headers = {"Content-Type": "application/json"}
                (await client.post(path, content=body, headers=headers)).raise_for_status()
                sent += size
        return sent

    start = time.perf_counter()
    taken = sum(await asyncio.gather(*(send(place) for place in range(CONNECTIONS))))
    mine = taken / (time.perf_counter() - start)
    named = "one by one" if size == 1 else f"in batches of {size}"
    return Line(f"OpenLineage events {named}", mine / MARQUEZ, f"Marquez's {MARQUEZ}/s", 20, f"{mine:,.0f} events/s")


def event(place: int) -> dict[str, object]:
    """The START of a new run of one of some jobs, which reads one data set and writes another."""
    fields = [{"name": f"c{number}", "type": "double"} for number in range(10)]
    schema = {"_producer": "x:y", "_schemaURL": "x:y", "fields": fields}
    return {
        "eventType": "START",
        "eventTime": "2013-04-01T12:00:00Z",
        "producer": "https://example.org/bench",
        "schemaURL": "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent",
        "run": {"runId": str(uuid4())},
        "job": {"namespace": "bench", "name": f"job-{place}"},
        "inputs": [{"namespace": "bench", "name": f"in-{place}", "facets": {"schema": schema}}],
        "outputs": [{"namespace": "bench", "name": f"out-{place}", "facets": {"schema": schema}}],
    }


async def _many(port: int) -> list[Line]:
    """A gate's answer and a page of versions, where a model has few versions and where it has many."""
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=120) as client:
        for name, count in (("few", 100), ("many", VERSIONS)):
            (await client.post(f"{PATH}/registered-models/create", json={"name": name})).raise_for_status()
            last = ""
            for _ in range(count):
                answer = await client.post(f"{PATH}/model-versions/create", json={"name": name, "source": "s3://m"})
                last = answer.raise_for_status().json()["model_version"]["version"]
            tag = {"name": name, "version": last, "key": "k", "value": "v"}
            (await client.post(f"{PATH}/model-versions/set-tag", json=tag)).raise_for_status()
        await client.get(f"{PATH}/model-versions/search", params={"filter": "name='many'", "max_results": 1})  # waits
        gate = await _median(client, f"/v1/models/many/versions/{VERSIONS // 2}/gate")
        few = await _median(client, "/v1/models/few/versions?limit=50")
        many = await _median(client, "/v1/models/many/versions?limit=50")
        deep = await _deep(client)
    told = f"{gate:.1f} ms"
    listed = f"{few:.1f} ms of 100 versions, {many:.1f} ms of {VERSIONS:,}, {deep:.1f} ms behind most of them"
    return [
        Line(f"a gate's answer at {VERSIONS:,} versions", GATE_MS / gate, f"{GATE_MS:g} ms", 1, told),
        Line("a page of versions, few by many", few / max(many, deep), "the same of a model with 100", 0.5, listed),
    ]


async def _deep(client: httpx.AsyncClient) -> float:
    page = (await client.get("/v1/models/many/versions?limit=1000")).json()
    while page["next"] and page["items"][-1]["version"] > VERSIONS // 10 + 1_000:
        page = (await client.get(f"/v1/models/many/versions?limit=1000&cursor={page['next']}")).json()
    return await _median(client, f"/v1/models/many/versions?limit=50&cursor={page['next']}")


async def _median(client: httpx.AsyncClient, path: str) -> float:
    """Milliseconds until the answer."""
    times: list[float] = []
    for _ in range(ASKED):
        start = time.perf_counter()
        (await client.get(path)).raise_for_status()
        times.append((time.perf_counter() - start) * 1_000)
    return sorted(times)[ASKED // 2]
