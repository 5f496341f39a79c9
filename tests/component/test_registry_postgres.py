"""The registry on a real PostgreSQL: searches page by page, OpenLineage, and two merges at the same moment."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from httpx import ASGITransport, AsyncClient

from services.registry.service import DEFINITION
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from tests.component.test_registry_history import MODEL, version
from tests.component.test_registry_lineage import FLIGHTS, RAW, TRAIN, bodies
from tests.postgres_fixture import PostgresMaker
from tests.support import drain

MLFLOW = "/api/2.0/mlflow"


class OnPostgres:
    def __init__(self, client: AsyncClient, running: Running, settings: Settings) -> None:
        self.client, self._running, self._settings = client, running, settings

    async def settle(self) -> None:
        """Twice, since what is derived from events is to be folded, too."""
        for _ in range(2):
            for consumer in self._running.consumers:
                await drain(consumer, self._settings)

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        answer = await self.client.request(method, path, **more)
        assert answer.status_code in (200, 201), answer.text
        return answer.json()


@asynccontextmanager
async def on_postgres(maker: PostgresMaker, folder: Path) -> AsyncIterator[OnPostgres]:
    settings = Settings(data_dir=folder)
    store = await maker.store(DEFINITION.tables)
    log = await maker.log({"muniment.registry": "registry"})
    service = Service("registry", settings, store, log, MemoryLive(), CommandLoop("registry", store))
    running = Running(DEFINITION, service, relays=False)
    transport = ASGITransport(create_app("registry", [running], settings), client=("127.0.0.1", 50000))
    async with AsyncClient(transport=transport, base_url="http://test") as client:
        yield OnPostgres(client, running, settings)
    await running.stop()


async def test_searches_find_page_by_page_what_the_filter_says(postgres: PostgresMaker, tmp_path: Path) -> None:
    async with on_postgres(postgres, tmp_path) as system:
        for name in ("a", "b"):
            await system.ask("POST", f"{MLFLOW}/registered-models/create", json={"name": name})
            for number in range(1, 13):
                tags = [{"key": "parity", "value": "even" if number % 2 == 0 else "odd"}]
                body = {"name": name, "source": f"s3://{name}/{number}", "run_id": f"r{number}", "tags": tags}
                await system.ask("POST", f"{MLFLOW}/model-versions/create", json=body)
        await system.ask("DELETE", f"{MLFLOW}/model-versions/delete", json={"name": "b", "version": "12"})
        await system.settle()
        for order in (["version_number DESC"], ["last_updated_timestamp DESC"], ["name DESC", "version_number DESC"]):
            found: list[str] = []
            token = None
            while token != "":
                asked: dict[str, Any] = {"filter": "name IN ('b') AND tags.parity = 'even'", "max_results": 2}
                asked |= {"order_by": order} | ({"page_token": token} if token else {})
                page = await system.ask("GET", f"{MLFLOW}/model-versions/search", params=asked)
                found += [one["version"] for one in page["model_versions"]]
                token = page.get("next_page_token", "")
            assert found == ["10", "8", "6", "4", "2"]
        everything = await system.ask("GET", f"{MLFLOW}/model-versions/search")
        assert len(everything["model_versions"]) == 23
        models = await system.ask("GET", f"{MLFLOW}/registered-models/search", params={"filter": "name LIKE 'b%'"})
        [model] = models["registered_models"]
        assert [one["version"] for one in model["latest_versions"]] == ["11"]
        pages, cursor = list[int](), ""
        while cursor is not None:
            page = await system.ask("GET", f"/v1/models/a/versions?limit=5{cursor}")
            pages += [one["version"] for one in page["items"]]
            cursor = f"&cursor={page['next']}" if page["next"] else None
        assert pages == list(range(12, 0, -1))


async def test_openlineage_events_become_facts(postgres: PostgresMaker, tmp_path: Path) -> None:
    async with on_postgres(postgres, tmp_path) as system:
        said = await system.ask("POST", "/api/v1/lineage/batch", json=[*bodies(), *bodies()])
        assert said["summary"]["new"] == 3
        await system.settle()
        [run] = (await system.ask("GET", f"/v1/pipelines/{TRAIN}/runs"))["items"]
        assert (run["state"], [ref["dataset"] for ref in run["outputs"]]) == ("succeeded", [FLIGHTS])
        edges = (await system.ask("GET", f"/v1/datasets/{FLIGHTS}/columns/late/lineage"))["edges"]
        assert edges == [{"from": f"{RAW}.delay", "to": f"{FLIGHTS}.late"}]


async def test_of_two_merges_at_the_same_moment_one_wins(postgres: PostgresMaker, tmp_path: Path) -> None:
    async with on_postgres(postgres, tmp_path) as system:
        await system.ask("POST", "/v1/models", json={"name": "late"})
        said = [version("a", "main", [], C=1), version("b", "anna", [1], C=2), version("c", "bert", [1], C=1, seed=8)]
        for one in said:
            await system.ask("POST", f"{MODEL}/versions", json=one)
        await system.settle()
        merge = f"{MODEL}/branches/main/merge"
        bodies = [{"source": name, "onto": 1} for name in ("anna", "bert")]
        answers = await asyncio.gather(*(system.client.post(merge, json=body) for body in bodies))
        assert sorted(one.status_code for one in answers) == [201, 409]
        [lost] = [one.json() for one in answers if one.status_code == 409]
        assert (lost["type"], lost["head"]) == ("urn:muniment:problem:branch-moved", 4)
