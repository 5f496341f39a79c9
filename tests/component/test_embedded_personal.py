"""Personal values through the whole embedded system: every file and table of it searched for them and for the key."""

import asyncio
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from muniment.embedded.folder import running_folder
from muniment.embedded.postgres import Postgres
from tests.e2e.embedded import Embedded

pytestmark = pytest.mark.slow

SECONDS = 90.0

MAIL, NAME = "ottilie@example.org", "Ottilie Habermas"
VERSION: dict[str, Any] = {
    "artifact": {"uri": "external:elsewhere"},
    "signature": {
        "inputs": [{"name": "hour", "type": "long"}, {"name": "name", "type": "string", "personal": True}],
        "outputs": [{"name": "p", "type": "double"}],
    },
    "reference": {"hour": [1, 2, 3]},
}


async def _dumped(folder: Path, own: str) -> tuple[str, bytes]:
    """Every row of every table as text, and the key of the one subject there."""
    connection = await asyncpg.connect(Postgres(running_folder(folder)).dsn)
    try:
        tables = await connection.fetch(
            "SELECT schemaname, tablename FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        )
        texts: list[str] = []
        for schema, table in tables:
            if schema == own:
                continue
            rows = await connection.fetch(f'SELECT t::text FROM "{schema}"."{table}" t')
            texts += [row[0] for row in rows]
        return "\n".join(texts), await connection.fetchval("SELECT key FROM keyring.subjects")
    finally:
        await connection.close()


def _found(text: str, secret: bytes) -> bool:
    """Whether a dump holds it, as text or as the hex of a bytea."""
    return secret.hex() in text or secret.decode("latin-1") in text


def _posted(url: str, path: str, body: Any, expected: int = 201, **headers: str) -> Any:
    answer = httpx.post(url + path, json=body, headers=headers, timeout=SECONDS)
    assert answer.status_code == expected, answer.text
    return answer.json()


def test_no_table_and_no_log_holds_a_personal_value_or_a_key_and_forgetting_is_for_good(tmp_path: Path) -> None:
    with Embedded(tmp_path / "data") as up:
        up.start()
        _posted(up.url, "/v1/models", {"name": "loans", "owner": "ana"})
        version = _posted(up.url, "/v1/models/loans/versions", VERSION)["id"]
        deployed = {"name": "late", "model": "loans", "version": 1, "environment": "development"}
        event = _posted(up.url, f"/v1/deployments?after={version}", deployed | {"runtime": {"kind": "external"}})["id"]
        row = {"entity": MAIL, "features": {"hour": 5, "name": NAME}, "output": {"p": 0.5}}
        body = {"deployment": "late", "version": 1, "predictions": [row, row]}
        path = f"/v1/predictions?after={event}"
        ids = _posted(up.url, path, body, 202, **{"Idempotency-Key": "k1"})["ids"]

        def told() -> dict[str, Any]:
            answer = httpx.get(f"{up.url}/v1/predictions/{ids[0]}", params={"after": ids[0]}, timeout=SECONDS)
            assert answer.status_code == 200, answer.text
            return answer.json()

        assert (told()["features"]["name"], told()["entity"]) == (NAME, MAIL)
        text, key = asyncio.run(_dumped(up.folder, "keyring"))
        assert _found(text, b"loans")
        for secret in (MAIL.encode(), NAME.encode(), key):
            assert not _found(text, secret)
        command = [sys.executable, "-m", "muniment", "forget", "-", "--reason", "case 7", "--url", up.url]
        done = subprocess.run(command, input=MAIL + "\n", capture_output=True, text=True, check=False, timeout=SECONDS)
        assert (done.returncode, "erased" in done.stdout) == (0, True), done.stderr
        assert (told()["features"]["name"], told()["personal"]["state"]) == (None, "erased")
        text, gone = asyncio.run(_dumped(up.folder, "nothing is left out"))
        assert gone is None
        assert not _found(text, key)
        asked = {"after": ids[0]}  # the audit, too, may still be on its way
        dossier = httpx.get(f"{up.url}/v1/dossier/{ids[0]}", params=asked, timeout=SECONDS).json()
        assert dossier["prediction"]["personal"]["state"] in ("encrypted", "erased")
        logs = up.output() + (up.folder / "postgres.log").read_text()
        assert NAME not in logs
        assert MAIL not in logs
