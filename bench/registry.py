"""The registry over HTTP, on Kafka: versions registered against MLflow's `model-versions/create` on the same
PostgreSQL, OpenLineage events against Marquez (as seen on such a machine: 98/s), and how a gate and a page of versions
stand when there are many versions."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from uuid import uuid4

import httpx
import orjson

from bench.http_load import Request, post, rate
from bench.line import Line, middle
from bench.peer import NotHad, installed
from bench.stack import Stack
from devstack.processes import NotReady
from shared.log.postgres.connection import connect

CONNECTIONS = 16
SECONDS = 4.0
ROUNDS = 3
MLFLOW = 240
PEER = "MLflow's server, 4 workers, same PostgreSQL"
MARQUEZ = 98
VERSIONS = 10_000
BATCH = 100
GATE_MS = 10.0
ASKED = 50
PATH = "/api/2.0/mlflow"


async def measure(stack: Stack) -> list[Line]:
    ours = [f"registry-{place}" for place in range(2)]
    ports = [stack.process(name, ["-m", "services.registry", "api"]) for name in ours]
    stack.process("registry-worker", ["-m", "services.registry", "worker"])
    registered = await _beside_mlflow(stack, [*ours, "registry-worker"], ports)
    lineage = [await _lineage(ports, 1), await _lineage(ports, BATCH)]
    return [*registered, *lineage, *await _many(ports[0])]


async def _beside_mlflow(stack: Stack, ours: list[str], ports: list[int]) -> list[Line]:
    """Versions per second, each connection registering those of a model of its own; MLflow's round by round in turn."""
    named = f"{CONNECTIONS} models, {len(ports)} processes and a worker"
    mine = await _requests(ports, _through_mlflow)
    native = await _requests(ports, _native)
    try:
        theirs = await _requests([await _mlflow(stack)], _through_mlflow)
    except NotHad as error:
        seen = f"MLflow's {MLFLOW}/s, seen elsewhere ({error})"
        rates = [("MLflow's API", await _together(mine)), ("the native API", await _together(native))]
        return [Line(f"versions registered by {how}", one / MLFLOW, seen, 5, f"{one:,.0f}/s") for how, one in rates]
    for requests in (mine, native, theirs):
        await _together(requests)  # warm
    lines: list[Line] = []
    for how, requests in (("MLflow's API", mine), ("the native API", native)):
        rounds = [(await _spent(stack, ours, requests), await _spent(stack, ["mlflow"], theirs)) for _ in range(ROUNDS)]
        one, other = middle([(our.rate, its.rate) for our, its in rounds])
        figures = f"{one:,.0f}/s against {other:,.0f}/s, {named}"
        lines.append(Line(f"versions registered by {how}", one / other, PEER, 5, figures))
        one, other = middle([(our.cpu, its.cpu) for our, its in rounds])
        figures = f"{one * 1e3:.1f} ms of CPU against {other * 1e3:.1f} ms, without the servers that hold the data"
        lines.append(Line(f"versions registered by {how}: by CPU", other / one, PEER, None, figures))
    return lines


async def _mlflow(stack: Stack) -> int:
    """MLflow's server beside ours, on the same PostgreSQL in a database of its own. Raises NotHad."""
    packages = [f"mlflow=={version('mlflow-skinny')}", "psycopg[binary]"]
    python = await asyncio.to_thread(installed, "mlflow", packages)
    server, _, _ = stack.settings.postgres.rpartition("/")
    connection = await connect(stack.settings.postgres)
    await connection.execute("CREATE DATABASE mlflow")
    await connection.close()
    served = [str(Path(__file__).parent / "peers" / "mlflow_serve.py")]
    try:
        more = {"BENCH_DSN": f"{server}/mlflow"}
        return await asyncio.to_thread(stack.process, "mlflow", served, str(python), more, 180.0)
    except NotReady as error:
        raise NotHad(f"did not start: {error}") from error


@dataclass(frozen=True, slots=True)
class Round:
    """Versions per second, and the seconds of CPU for each."""

    rate: float
    cpu: float


async def _spent(stack: Stack, names: list[str], requests: list[tuple[int, bytes]]) -> Round:
    before = sum(map(stack.cpu, names))
    found = await _together(requests)
    return Round(found, (sum(map(stack.cpu, names)) - before) / (found * SECONDS))


async def _requests(ports: list[int], request: Callable[[str], bytes]) -> list[tuple[int, bytes]]:
    """A request for each connection, with the port it goes to, and a new model for each."""
    names = [f"m-{uuid4().hex}" for _ in range(CONNECTIONS)]
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", timeout=60) as client:
        for name in names:
            (await client.post(f"{PATH}/registered-models/create", json={"name": name})).raise_for_status()
    return [(ports[place % len(ports)], request(name)) for place, name in enumerate(names)]


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


async def _together(requests: Sequence[tuple[int, Request]]) -> float:
    """Answers per second of all requests, each repeated on a connection of its own."""
    return sum(await asyncio.gather(*(rate(port, request, 1, SECONDS) for port, request in requests)))


async def _lineage(ports: list[int], size: int) -> Line:
    """OpenLineage events per second, new ones each time: one per request, or as batches."""
    path = "/api/v1/lineage" if size == 1 else "/api/v1/lineage/batch"

    def of(place: int) -> Callable[[], bytes]:
        def following() -> bytes:
            events = [event(place) for _ in range(size)]
            return post(path, orjson.dumps(events[0] if size == 1 else events), "application/json")

        return following

    requests = [(ports[place % len(ports)], of(place)) for place in range(CONNECTIONS)]
    mine = await _together(requests) * size
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
