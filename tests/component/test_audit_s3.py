"""Checkpoints, reports and cold parts in a bucket of S3: the system writes and reads them as in a folder."""

import json
from dataclasses import replace

import pytest

from services.audit.parts.place import Place
from services.audit.parts.store import with_parts
from services.audit.proofs.copies import Copies
from services.audit.reports.shelf import Shelf
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER
from services.audit.worker.archiving import Archiver
from shared.events import registry
from tests.component.audit_given import told
from tests.component.bucket import serving
from tests.component.test_audit_api import get, verified
from tests.component.test_audit_lies import resigned
from tests.support import running

LEAVES = 256


async def test_what_lies_outside_lies_in_a_bucket(monkeypatch: pytest.MonkeyPatch) -> None:
    objects: dict[str, bytes] = {}
    with serving(objects, monkeypatch):
        places = {"checkpoint_urls": ("s3://data/checkpoints-of/models",), "reports_url": "s3://data/reports"}
        async with running(DEFINITION, ledger_url="s3://data/ledger", **places) as system:
            story = await told(system)
            await system.settle()
            for number in range(LEAVES):
                await story.say(f"goal/g{number}", registry.GoalStated(goal=f"g{number}", question="?", owner="a"), 12)
            await system.settle()
            newest = (await get(system, "/v1/proofs/checkpoints"))["items"]
            copies = Copies.of(places["checkpoint_urls"][0])
            assert copies.sizes() == sorted(one["size"] for one in newest)
            assert copies.read("checkpoint") == (await system.client.get("/checkpoint")).text

            issued = await system.client.post("/v1/reports/flights", json={"reason": "audit"})
            assert issued.status_code == 201, issued.text
            files = issued.json()["files"]
            await system.settle()
            assert {f"reports/{one['sha256'][:2]}/{one['sha256']}" for one in files} <= objects.keys()
            shown = await system.client.get(f"/v1/issued-reports/{issued.json()['report']}/{files[0]['format']}")
            assert Shelf.of(system.settings).get(files[0]["sha256"]) == shown.content

            service = system.services["audit"]
            hot = service.settings.model_copy(update={"ledger_hot_leaves": 1, "ledger_part_leaves": LEAVES})
            await Archiver(with_parts(replace(service, settings=hot)), LEDGER).run()
            await system.settle()
            (name,) = Place.of(system.settings).names()
            assert Place.of(system.settings).digest(name)[1] == len(objects[f"ledger/{name}"])
            answer = await verified(system)
            assert (answer["outcome"], answer["result"]["tree"]["parts"]) == ("equal", 1), answer
            assert answer["result"]["tree"]["copies"] == len(copies.sizes()) - 1, "all but the one that came of this"

            size = copies.sizes()[0]
            objects[f"checkpoints-of/models/checkpoints/{size:019d}"] = resigned(system, size, bytes(32)).encode()
            answer = await verified(system)
            assert "two views" in answer["first_difference"], json.dumps(answer)
