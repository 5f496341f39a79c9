"""The command line proves what a running system recorded, and what it proved holds after a kill and a new key."""

import subprocess
import sys
import time
from pathlib import Path

from typer.testing import CliRunner

from muniment.cli import app
from muniment.client import Client
from tests.e2e.embedded import Embedded

SCRIPT = Path(__file__).parents[2] / "muniment" / "verify_standalone.py"


def cli(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(app, [str(one) for one in arguments])
    assert done.exit_code == code, (arguments, done.output, done.exception)
    return done.output


def script(*arguments: object) -> tuple[int, str]:
    command = [sys.executable, "-I", str(SCRIPT), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def published(folder: Path) -> list[Path]:
    """The copies outside, once there are any: a worker makes them behind what is signed."""
    deadline = time.monotonic() + 120
    while not folder.exists() or not (found := sorted(folder.iterdir())):
        assert time.monotonic() < deadline, "nothing was published"
        time.sleep(0.1)
    return found


def test_what_was_proven_before_a_kill_and_a_new_key_still_holds_after(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    environment = {"MUNIMENT_CHECKPOINT_SECONDS": "0.5", "MUNIMENT_CHECKPOINT_URLS": f'["{outside}"]'}
    environment["MUNIMENT_PUBLISH_SECONDS"] = "0.5"
    with Embedded(tmp_path / "data", environment=environment) as up, Client(up.url, actor="maria") as client:
        up.start()
        first = client.post("/v1/goals", {"name": "first", "question": "?", "owner": "maria"})["event_id"]
        client.get(f"/v1/events/{first}", after=first)  # `prove` itself waits no longer than for a wrong id
        bundle = tmp_path / "first.json"
        cli("prove", first, "-o", bundle, "--url", up.url)
        (key,) = (one["verifier"] for one in client.get("/v1/keys")["items"])
        assert script("bundle", bundle, "--key", key)[0] == 0
        up.kill()
        cli("signing-key", "rotate", "--file", tmp_path / "data" / "signing.key")
        up.start()
        second = client.post("/v1/goals", {"name": "second", "question": "?", "owner": "maria"})["event_id"]
        client.get(f"/v1/events/{second}", after=second)
        cli("prove", second, "-o", tmp_path / "second.json", "--url", up.url)
        assert len(client.get("/v1/keys")["items"]) == 2
        seen = [f"--seen={path}" for path in published(outside / "checkpoints")]
        cli("record", tmp_path / "record", "--url", up.url)
        code, text = script("record", tmp_path / "record", "--key", key, *seen)
        assert (code, "are one record" in text) == (0, True), text
        cli("verify", "--record", tmp_path / "record", "--trusted", key, *seen)
        cli("verify", "--bundle", tmp_path / "second.json", "--trusted", key)
        entries = tmp_path / "record" / "entries.jsonl"
        entries.write_text(entries.read_text().replace("maria", "mario"))
        cli("verify", "--record", tmp_path / "record", "--trusted", key, code=1)
        cli("verify", "--bundle", bundle, code=2)
        result = client.get(client.post("/v1/verifications")["url"], after=second)
        while not result["result"]:
            assert result["state"] != "failed", result["problem"]
            result = client.get(f"/v1/verifications/{result['id']}")
        assert (result["outcome"], result["result"]["tree"]["outcome"]) == ("equal", "equal")
        assert result["result"]["tree"]["size"] > 2
