"""Alerts from windows to receivers: raised, grouped, signed, tried again, replayed; and figures for Prometheus."""

import asyncio
import json
import re
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from services.monitor.alerting.figures import Figures
from shared.events import deployer, monitor
from shared.runtime.webhooks.signing import signature
from tests.component.monitor_story import AT, DAY, monitoring, state
from tests.support import System

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana" / "muniment.json"
START = AT.replace(hour=0)
FAST = {"alert_private_networks": True, "alert_retry_seconds": 0.0, "alert_deliver_seconds": 0.0}


@dataclass
class Receiver:
    """A server that answers its statuses in turn, the last one for ever, and keeps what it was sent."""

    port: int = 0
    statuses: list[int] = field(default_factory=lambda: [204])
    got: list[tuple[dict[str, str], Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}/hook/secret-part"

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                lines = head.split("\r\n")
                headers = {k.lower(): v for k, _, v in (line.partition(": ") for line in lines[1:] if line)}
                body = await reader.readexactly(int(headers["content-length"]))
                self.got.append((headers, body.decode()))
                status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
                writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


@asynccontextmanager
async def receiving(*statuses: int) -> AsyncIterator[Receiver]:
    receiver = Receiver(statuses=list(statuses) or [204])
    server = await asyncio.start_server(receiver.answer, "127.0.0.1", 0)
    receiver.port = server.sockets[0].getsockname()[1]
    try:
        yield receiver
    finally:
        server.close()


def window(day: int, psi: float = 0.0, cost: float | None = None, **changed: Any) -> list[Any]:
    """What is stated of one day's window."""
    place = {
        "deployment": "late",
        "model": "late",
        "version": 1,
        "window_start": START + day * DAY,
        "window_end": START + (day + 1) * DAY,
    } | changed
    kpis = [monitor.KpiValue(kpi="cost", unit="USD", total=cost * 10, cases=10, per_case=cost)] if cost else []
    drift = (monitor.Drift(feature="wind", psi=psi), monitor.Drift(feature="hour", psi=0.01))
    measured = monitor.WindowMeasured(
        **place, revision=0, predictions=200, outcomes=10, drift=drift, kpis=tuple(kpis), quality={"auc": 0.66}
    )
    told: list[Any] = [measured]
    if psi >= 0.2:
        told.append(monitor.DriftDetected(**place, feature="wind", statistic="psi", value=psi, threshold=0.2))
    return told


async def measure(system: System, *days: list[Any]) -> None:
    for told in days:
        one = told[0]
        await state(system, f"window/{one.deployment}/{one.version}/{one.window_start.isoformat()}", told)
    await system.settle()


async def alerts(system: System, **query: Any) -> list[dict[str, Any]]:
    return (await system.client.get("/v1/alerts", params=query)).json()["items"]


async def route(system: System, url: str, **changed: Any) -> dict[str, Any]:
    answer = await system.client.post("/v1/alert-routes", json={"name": "on call", "url": url} | changed)
    assert answer.status_code == 201, answer.text
    await system.settle()
    return answer.json()


async def deliveries(system: System, **query: Any) -> list[dict[str, Any]]:
    return (await system.client.get("/v1/alert-deliveries", params=query)).json()["items"]


async def test_drift_in_two_windows_raises_one_alert_that_two_calm_ones_clear() -> None:
    async with monitoring() as system:
        await measure(system, window(0, 0.3))
        assert await alerts(system) == []
        await measure(system, window(1, 0.4), window(2, 0.5))
        (alert,) = await alerts(system, open=True, kind="drift")
        assert (alert["deployment"], alert["version"], alert["windows"]) == ("late", 1, 2)
        assert alert["since"] == "2013-04-01T00:00:00Z"
        assert [one["name"] for one in alert["findings"]] == ["wind"]
        await measure(system, window(3, 0.19), window(4, 0.05))
        assert len(await alerts(system, open=True)) == 1
        await measure(system, window(5, 0.05))
        (cleared,) = await alerts(system)
        assert (cleared["alert"], cleared["open"]) == (alert["alert"], False)
        assert cleared["cleared_summary"] == "Nothing was over its threshold, or close to it, in 2 windows."
        assert (await system.client.get(f"/v1/alerts/{alert['alert']}")).json() == cleared


async def test_missed_targets_and_silence_are_alerts_of_their_own() -> None:
    async with monitoring(partitions=3) as system:
        await measure(system, window(0, 0.3, cost=30.0), window(1, 0.3, cost=30.0))
        silent = monitor.DeploymentSilent(deployment="late", model="late", version=1, last_heard=AT, seconds=3_600)
        heard = monitor.DeploymentHeard(deployment="late", model="late", version=1, silent_since=AT, heard=AT + DAY)
        await state(system, "silence/late", [silent])
        await system.settle()
        found = {one["kind"]: one for one in await alerts(system, open=True)}
        assert set(found) == {"drift", "kpi", "silence"}
        assert found["kpi"]["summary"] == "Targets were missed in 2 windows in a row: cost."
        assert found["kpi"]["findings"][0] == {
            "name": "cost",
            "statistic": "per_case",
            "value": 30.0,
            "threshold": 20.0,
            "unit": "USD",
            "base": None,
            "estimated": False,
        }
        await state(system, "silence/late", [silent, heard])
        await system.settle()
        assert {one["kind"] for one in await alerts(system, open=True)} == {"drift", "kpi"}


async def test_alerts_of_a_retired_deployment_clear() -> None:
    async with monitoring() as system:
        await measure(system, window(0, 0.3), window(1, 0.3))
        silent = monitor.DeploymentSilent(deployment="late", model="late", version=1, last_heard=AT, seconds=3_600)
        await state(system, "silence/late", [silent])
        await system.settle()
        assert len(await alerts(system, open=True)) == 2
        retired = deployer.Retired(deployment="late", model="late", before=deployer.Traffic(champion=1))
        await state(system, "deployment/late", [retired, retired])  # the first place holds its deployment
        await system.settle()
        assert {one["cleared_summary"] for one in await alerts(system)} == {"The deployment was retired."}
        assert await alerts(system, open=True) == []


async def test_a_webhook_is_signed_tried_again_under_one_id_and_told_of_the_end() -> None:
    async with receiving(500, 302, 204) as receiver, monitoring(**FAST) as system:
        told = await route(system, receiver.url)
        assert (told["host"], "secret-part" in json.dumps(told)) == (f"localhost:{receiver.port}", False)
        await measure(system, window(0, 0.3), window(1, 0.3))
        for _ in range(4):
            await system.settle()
        assert len(receiver.got) == 3
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        headers, body = receiver.got[-1]
        key = b64decode(told["secret"].removeprefix("whsec_"))
        seconds = int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == signature(key, headers["webhook-id"], seconds, body)
        assert headers["host"] == f"localhost:{receiver.port}"
        message = json.loads(body)
        assert (message["type"], message["data"]["kind"]) == ("alert.raised", "drift")
        assert message["sequence"] > 0
        assert [one["name"] for one in message["data"]["findings"]] == ["wind"]
        (delivery,) = await deliveries(system, state="delivered")
        assert (delivery["attempts"], delivery["status"]) == (3, 204)
        await measure(system, window(2), window(3))
        await system.settle()
        assert json.loads(receiver.got[-1][1])["type"] == "alert.cleared"


async def test_what_cannot_be_delivered_is_dead_until_it_is_replayed() -> None:
    async with receiving(500) as receiver, monitoring(alert_attempts=2, **FAST) as system:
        await route(system, receiver.url)
        await measure(system, window(0, 0.3), window(1, 0.3))
        for _ in range(4):
            await system.settle()
        (dead,) = await deliveries(system, state="dead")
        assert dead["problem"] == "2 attempts, the last: HTTPError: the receiver answered 500"
        receiver.statuses = [200]
        answer = await system.client.post(f"/v1/alert-deliveries/{dead['delivery']}/replay")
        assert answer.status_code == 202
        await system.settle()
        (delivered,) = await deliveries(system)
        assert (delivered["delivery"], delivered["state"]) == (dead["delivery"], "delivered")
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        assert (await system.client.post("/v1/alert-deliveries/none/replay")).status_code == 404


async def test_routes_choose_kinds_and_deployments_and_slack_gets_text() -> None:
    async with receiving() as mine, receiving() as other, monitoring(**FAST) as system:
        await route(system, mine.url, format="slack", kinds=["kpi"], deployments=["late"])
        await route(system, other.url, deployments=["another"])
        gone = await route(system, other.url)
        answer = await system.client.delete(f"/v1/alert-routes/{gone['route']}")
        assert answer.status_code == 200
        assert (await system.client.delete("/v1/alert-routes/none")).status_code == 404
        await measure(system, window(0, 0.3, cost=30.0), window(1, 0.3, cost=30.0))
        await system.settle()
        assert other.got == []
        ((_, body),) = mine.got
        text = json.loads(body)["text"]
        assert text.splitlines() == [
            ":rotating_light: *late* version 1: kpi",
            "Targets were missed in 2 windows in a row: cost.",
            "• cost per_case 30 USD (threshold 20 USD)",
        ]
        listed = (await system.client.get("/v1/alert-routes")).json()["items"]
        assert [one["format"] for one in listed] == ["slack", "webhook"]
        assert all("sealed" not in one and "secret" not in one for one in listed)


async def test_no_route_leads_into_the_private_network() -> None:
    async with receiving() as receiver, monitoring() as system:
        for url in (receiver.url, f"https://127.0.0.1:{receiver.port}/", "https://169.254.169.254/latest/meta-data"):
            answer = await system.client.post("/v1/alert-routes", json={"name": "x", "url": url})
            assert (answer.status_code, answer.json()["type"]) == (422, "urn:muniment:problem:address-not-allowed")
        service = system.services["monitor"]
        allowing = service.settings.model_copy(update={"alert_private_networks": True})
        service.settings = allowing
        await route(system, receiver.url)  # allowed once, forbidden since
        await measure(system, window(0, 0.3), window(1, 0.3))
        (dead,) = await deliveries(system, state="dead")
        assert "https" in dead["problem"]
        assert receiver.got == []


async def test_too_many_routes_are_refused() -> None:
    async with receiving() as receiver, monitoring(max_alert_routes=1, **FAST) as system:
        await route(system, receiver.url)
        answer = await system.client.post("/v1/alert-routes", json={"name": "x", "url": receiver.url})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:muniment:problem:too-many-alert-routes")


async def test_a_rebuild_of_the_views_raises_and_delivers_nothing_again() -> None:
    async with receiving() as receiver, monitoring(**FAST) as system:
        await route(system, receiver.url)
        await measure(system, window(0, 0.3), window(1, 0.3), window(2), window(3))
        await system.settle()
        before, sent = await alerts(system), len(receiver.got)
        assert (len(before), sent) == (1, 2)
        store = system.stores["monitor"]
        for consumer in system.parts["monitor"].consumers:
            await store.clear_views(consumer.name)
            for place in await system.log.bounds(consumer.topics):
                consumer.forget(place)
        service = system.services["monitor"]
        service.settings = service.settings.model_copy(update={"alert_stale_seconds": 0.0})
        await system.settle()
        assert (await alerts(system), len(receiver.got)) == (before, sent)


async def figures(system: System) -> str:
    collector = system.services["monitor"].collectors["alerts"]
    assert isinstance(collector, Figures)
    await collector.run()
    return (await system.client.get("/metrics")).text


async def test_figures_of_the_newest_window_for_prometheus() -> None:
    async with monitoring() as system:
        await measure(system, window(1, 0.4, cost=30.0), window(0, 0.3, cost=30.0))
        text = await figures(system)
        assert 'muniment_drift_psi{deployment="late",feature="wind",version="1"} 0.4' in text
        assert 'muniment_kpi_per_case{deployment="late",kpi="cost",unit="USD",version="1"} 30.0' in text
        assert 'muniment_quality{deployment="late",metric="auc",version="1"} 0.66' in text
        assert 'muniment_alerts_open{deployment="late",kind="drift",version="1"} 1.0' in text
        assert 'muniment_window_start_seconds{deployment="late",version="1"} 1.3648608e+09' in text


async def test_the_dashboard_asks_for_figures_that_there_are() -> None:
    async with monitoring() as system:
        await measure(system, window(0, 0.3, cost=30.0))
        text = await figures(system)
    known = set(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)) | set(
        re.findall(r"^(\w+)(?:\{| )", text, re.MULTILINE)
    )
    known |= {f"{name}_bucket" for name in known if f"# TYPE {name} histogram" in text}
    asked: set[str] = set()
    _each(json.loads(DASHBOARD.read_text()), lambda expr: asked.update(re.findall(r"\bmuniment_\w+", expr)))
    assert len(asked) >= 10
    assert asked <= known


def _each(part: Any, use: Callable[[str], Any]) -> None:
    """Every expression of a dashboard, wherever it stands."""
    if isinstance(part, dict):
        for name, value in part.items():
            if name in ("expr", "query", "definition") and isinstance(value, str):
                use(value)
            _each(value, use)
    elif isinstance(part, list):
        for one in part:
            _each(one, use)
