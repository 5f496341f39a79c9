"""Webhooks on changes of gates: signed, tried again under one id, dead in the end and replayed."""

import json
from base64 import b64decode
from typing import Any

from services.registry.service import DEFINITION
from shared.log.tables import Put
from shared.runtime.webhooks.signing import signature
from tests.component.test_monitor_alerts import FAST, receiving
from tests.component.test_registry_api import EVIDENCE, OF_ONE, get, post, registered
from tests.support import System, running


async def webhook(system: System, url: str, **changed: Any) -> dict[str, Any]:
    told = await post(system, "/v1/webhooks", {"name": "ci", "url": url} | changed)
    await system.settle()
    return told


async def test_a_change_of_a_gate_is_told_signed_and_tried_again_under_one_id() -> None:
    async with receiving(500, 204) as receiver, running(DEFINITION, **FAST) as system:
        told = await webhook(system, receiver.url, stages=["staging"])
        assert "secret-part" not in json.dumps(told)
        await registered(system)
        for _ in range(3):
            await system.settle()
        assert len(receiver.got) == 2
        assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
        headers, body = receiver.got[-1]
        key = b64decode(told["secret"].removeprefix("whsec_"))
        seconds = int(headers["webhook-timestamp"])
        assert headers["webhook-signature"] == signature(key, headers["webhook-id"], seconds, body)
        message = json.loads(body)
        assert (message["type"], message["data"]["allowed"], message["actor"]) == ("gate.changed", False, "dan")
        await post(system, f"{OF_ONE}/evidence", EVIDENCE)
        await system.settle()
        later = json.loads(receiver.got[-1][1])
        opened = later["data"]
        history = (await get(system, f"{OF_ONE}/gate/history?stage=staging"))["items"]
        assert [one["sequence"] for one in history] == [later["sequence"], message["sequence"]]
        assert (message["subject"], later["subject"]) == ("model/late", "model/late")
        assert (opened["model"], opened["version"], opened["stage"], opened["allowed"]) == ("late", 1, "staging", True)
        items = (await get(system, "/v1/webhook-deliveries?state=delivered"))["items"]
        assert [(one["attempts"], one["status"]) for one in items] == [(1, 204), (2, 204)]


async def test_what_cannot_be_delivered_is_dead_until_it_is_replayed() -> None:
    async with receiving(500, 500, 204) as receiver, running(DEFINITION, **FAST, alert_attempts=2) as system:
        told = await webhook(system, receiver.url, stages=["production"])
        await registered(system)
        for _ in range(3):
            await system.settle()
        [dead] = (await get(system, "/v1/webhook-deliveries?state=dead"))["items"]
        assert (dead["attempts"], "500" in dead["problem"]) == (2, True)
        answer = await system.client.post(f"/v1/webhook-deliveries/{dead['delivery']}/replay")
        assert answer.status_code == 202
        await system.settle()
        [sent] = (await get(system, "/v1/webhook-deliveries?state=delivered"))["items"]
        assert sent["delivery"] == dead["delivery"]
        removed = await system.client.delete(f"/v1/webhooks/{told['webhook']}")
        assert removed.status_code == 200, removed.text
        await system.settle()
        assert (await get(system, "/v1/webhooks"))["items"] == []
        before = len(receiver.got)
        await post(system, f"{OF_ONE}/evidence", EVIDENCE)
        await system.settle()
        assert len(receiver.got) == before


async def test_a_rebuild_of_the_views_leaves_what_waits_for_delivery() -> None:
    async with receiving() as receiver, running(DEFINITION, **FAST) as system:
        await webhook(system, receiver.url, stages=["staging"])
        await registered(system)
        await system.settle()
        assert len(receiver.got) == 1
        [sent] = (await get(system, "/v1/webhook-deliveries?state=delivered"))["items"]
        store, part = system.stores["registry"], system.parts["registry"]
        async with store.begin() as unit:  # as if nobody had taken it yet
            row = await unit.get("webhook_deliveries", sent["delivery"])
            waits = {"delivery": sent["delivery"], "state": "waiting", "attempts": 0, "next_at": row["created_at"]}
            await unit.apply([Put("webhook_deliveries", waits)])
        for consumer in part.consumers:
            await store.clear_views(consumer.name)
            for place in await system.log.bounds(consumer.topics):
                consumer.forget(place)
        for periodic in part.periodic:
            await periodic.job()
        [waiting] = (await get(system, "/v1/webhook-deliveries?state=waiting"))["items"]
        assert "being rebuilt" in waiting["problem"], "where it goes is not known yet"
        await system.settle()
        await system.settle()
        assert [headers["webhook-id"] for headers, _ in receiver.got] == [sent["delivery"]] * 2
        assert (await get(system, "/v1/webhook-deliveries?state=waiting"))["items"] == []


async def test_no_webhook_leads_into_the_private_network() -> None:
    async with running(DEFINITION) as system:
        answer = await system.client.post("/v1/webhooks", json={"name": "x", "url": "https://127.0.0.1/hook"})
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:muniment:problem:address-not-allowed")
        gone = await system.client.delete("/v1/webhooks/none")
        assert gone.status_code == 404
