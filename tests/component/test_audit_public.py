"""The tree without an API key: as much of it as the setting says, and nothing else."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from services.audit.service import DEFINITION
from shared.runtime.identity import Role, add_key
from tests.component.audit_given import told
from tests.support import System, running

HASHES = ("/checkpoint", "/tile/0/000.p/1")
ENTRIES = ("/tile/entries/000.p/1",)
CLOSED = ("/v1/estate", "/v1/events", "/v1/proofs/entries?start=0&limit=1", "/v1/keys")


@asynccontextmanager
async def audit(folder: Path, **changed: str) -> AsyncIterator[tuple[System, dict[str, str]]]:
    keys = folder / "keys.jsonl"
    key = add_key(keys, "ann", [Role.AUDITOR])
    async with running(DEFINITION, api_keys=keys, **changed) as system:
        await told(system)
        yield system, {"Authorization": f"Bearer {key}"}


@pytest.mark.parametrize(
    ("setting", "public"),
    [({}, ()), ({"public_tree": "hashes"}, HASHES), ({"public_tree": "entries"}, (*HASHES, *ENTRIES))],
    ids=["by default nothing", "hashes", "entries"],
)
async def test_what_is_public_is_what_the_setting_says(
    tmp_path: Path, setting: dict[str, str], public: tuple[str, ...]
) -> None:
    async with audit(tmp_path, **setting) as (system, key):
        for path in (*HASHES, *ENTRIES, *CLOSED):
            stranger = await system.client.get(path)
            assert stranger.status_code == (200 if path in public else 401), path
            known = await system.client.get(path, headers=key)
            assert known.status_code == 200, path
            if path in public:
                assert stranger.content == known.content
        wrong = await system.client.get("/checkpoint", headers={"Authorization": "Bearer mun_x_y"})
        assert wrong.status_code == (200 if "/checkpoint" in public else 401)


async def test_entries_are_for_shared_caches_only_where_they_are_public(tmp_path: Path) -> None:
    for setting, expected in (("hashes", "private"), ("entries", "public")):
        async with audit(tmp_path, public_tree=setting) as (system, key):
            answer = await system.client.get(ENTRIES[0], headers=key)
            assert answer.headers["cache-control"].startswith(expected)


async def test_public_or_not_only_what_is_there_is_answered(tmp_path: Path) -> None:
    async with audit(tmp_path, public_tree="hashes") as (system, _):
        assert (await system.client.get("/tile/0/999")).status_code == 404
        assert (await system.client.post("/checkpoint")).status_code == 405
