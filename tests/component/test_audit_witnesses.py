"""A witness of our own, over real HTTP, that trusts nothing: it checks signature and consistency by code of its own."""

import asyncio
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.verify_standalone import consistent, key_of, signed
from services.audit.service import DEFINITION
from services.audit.worker.signing import KeyFile
from shared.events import registry
from shared.log.tables import Delete, Put
from tests.component.audit_given import APPROVED, Story, told
from tests.component.test_audit_api import get
from tests.component.test_audit_lies import resigned, script
from tests.support import System, running

EMPTY = sha256().digest()
NOW = 1_700_000_000


class Witness:
    """c2sp.org/tlog-witness for one log. `trusted`: the log's verifier key, learnt from its operator."""

    def __init__(self, name: str) -> None:
        self.name, self.key, self.trusted = name, Ed25519PrivateKey.generate(), ""
        self.size, self.root, self.asked = 0, EMPTY, 0
        self.url = ""

    @property
    def verifier(self) -> str:
        raw = b"\x04" + self.key.public_key().public_bytes_raw()
        key_id = sha256(self.name.encode() + b"\n" + raw).hexdigest()[:8]
        return f"{self.name}+{key_id}+{b64encode(raw).decode()}"

    def add_checkpoint(self, body: str) -> tuple[int, str, str]:
        """(status, content type, body) of an answer."""
        self.asked += 1
        head, _, note = body.partition("\n\n")
        old, *proof = head.split("\n")
        if not self.trusted:
            return 404, "text/plain", ""
        try:
            text, by = signed(note, [key_of(self.trusted)])
        except ValueError:
            by, text = [], ""
        if not by:
            return 403, "text/plain", ""
        _, size, root = text.split("\n")[:3]
        if int(old.removeprefix("old ")) != self.size:
            return 409, "text/x.tlog.size", f"{self.size}\n"
        hashes = [b64decode(one) for one in proof]
        if self.size and not consistent(self.size, self.root, int(size), b64decode(root), hashes):
            return 422, "text/plain", ""
        self.size, self.root = int(size), b64decode(root)
        signature = self.key.sign(f"cosignature/v1\ntime {NOW}\n{text}".encode())
        data = key_of(self.verifier)[1] + NOW.to_bytes(8, "big") + signature
        return 200, "text/plain", f"— {self.name} {b64encode(data).decode()}\n"

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        length = int(head.split("content-length: ")[1].split("\r\n")[0])
        body = (await reader.readexactly(length)).decode()
        known = head.startswith("post /prefix/add-checkpoint ")
        status, kind, answer = self.add_checkpoint(body) if known else (404, "text/plain", "")
        lines = f"HTTP/1.1 {status} x\r\nContent-Type: {kind}\r\nContent-Length: {len(answer.encode())}\r\n"
        writer.write((lines + "Connection: close\r\n\r\n" + answer).encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(witness: Witness) -> AsyncIterator[Witness]:
    server = await asyncio.start_server(witness.serve, "127.0.0.1", 0)
    witness.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/prefix"
    async with server:
        yield witness


@asynccontextmanager
async def witnessed(witness: Witness, **changed) -> AsyncIterator[System]:
    async with running(DEFINITION, witnesses=(f"{witness.url} {witness.verifier}",), **changed) as system:
        yield system


def learn(system: System, witness: Witness) -> None:
    """Give the witness the log's key, as its operator would."""
    (signer,), _ = KeyFile.of(system.settings).read()
    witness.trusted = str(signer.verifier)


async def say(story: Story, name: str) -> None:
    await story.say(f"goal/{name}", registry.GoalStated(goal=name, question="?", owner="ana"), 12)


async def begun(system: System, witness: Witness) -> Story:
    with pytest.raises(Exception, match="does not know this tree"):
        await told(system)
    (publication,) = (await get(system, "/v1/proofs/publications"))["items"]
    assert "does not know this tree" in publication["problem"]
    learn(system, witness)
    await system.settle()
    return Story(system, 500)


async def test_a_witness_cosigns_and_a_stranger_can_ask_for_it(tmp_path: Path):
    async with serving(Witness("witness.example/w1")) as witness, witnessed(witness) as system:
        story = await begun(system, witness)
        note = (await system.client.get("/checkpoint")).text
        text, by = signed(note, [key_of(witness.trusted), key_of(witness.verifier)])
        assert [key[0] for key in by] == [witness.trusted.partition("+")[0], witness.name]
        assert int(text.split("\n")[1]) == witness.size
        asked = witness.asked
        await system.settle()
        assert witness.asked == asked  # its own cosignature is no reason for another checkpoint
        await say(story, "more")
        await system.settle()
        assert witness.size > int(text.split("\n")[1])
        path = tmp_path / "bundle.json"
        path.write_text((await system.client.get("/v1/proofs/bundle", params={"event_id": APPROVED})).text)
        assert script("bundle", path, witness.trusted, "--witness", witness.verifier)[0] == 0
        stranger = Witness("stranger.example/w")
        code, out = script("bundle", path, witness.trusted, "--witness", stranger.verifier)
        assert (code, "not cosigned by stranger.example/w" in out) == (1, True), out
        (publication,) = (await get(system, "/v1/proofs/publications"))["items"]
        assert (publication["size"], publication["problem"]) == (witness.size, None)


async def test_another_old_size_is_taken_from_the_witness():
    async with serving(Witness("witness.example/w1")) as witness, witnessed(witness) as system:
        story = await begun(system, witness)
        size = witness.size
        async with system.stores["audit"].begin() as unit:
            target = f"{witness.url} {witness.verifier}"
            await unit.apply([Put("tree_published", {"target": target, "size": 1})])
        await say(story, "more")
        await system.settle()
        assert witness.size > size


async def test_a_witness_that_saw_another_record_refuses_and_that_is_told():
    async with serving(Witness("witness.example/w1")) as witness, witnessed(witness) as system:
        story = await begun(system, witness)
        witness.root = bytes(32)
        await say(story, "more")
        with pytest.raises(Exception, match="does not continue what it saw before"):
            await system.settle()
        witness.size = 10_000
        await say(story, "again")
        with pytest.raises(Exception, match=r"it has cosigned 10000 leaves, more than the \d+ on record"):
            await system.settle()


async def test_a_false_cosignature_is_not_kept():
    async with serving(Witness("witness.example/w1")) as witness, witnessed(witness) as system:
        story = await begun(system, witness)
        honest, witness.key = witness.verifier, Ed25519PrivateKey.generate()
        true = witness.add_checkpoint

        def forged(body: str) -> tuple[int, str, str]:
            status, kind, answer = true(body)
            if status != 200:
                return status, kind, answer
            raw = b64decode(answer.split(" ")[2])
            return status, kind, f"— {witness.name} {b64encode(key_of(honest)[1] + raw[4:]).decode()}\n"

        witness.add_checkpoint = forged  # type: ignore[method-assign]
        await say(story, "more")
        with pytest.raises(Exception, match=r"is not that of witness\.example/w1"):
            await system.settle()


async def test_an_unreachable_witness_keeps_no_copy_from_its_place(tmp_path: Path):
    witness = Witness("witness.example/w1")
    witness.url = "http://127.0.0.1:9"
    async with witnessed(witness, checkpoint_urls=(str(tmp_path / "copies"),)) as system:
        with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
            await told(system)
        newest = (tmp_path / "copies" / "checkpoint").read_text()
        assert newest == (await system.client.get("/checkpoint")).text
        (kept,) = (tmp_path / "copies" / "checkpoints").iterdir()
        assert kept.read_text() == newest


async def test_a_place_that_holds_another_view_is_never_written_over(tmp_path: Path):
    async with running(DEFINITION, checkpoint_urls=(str(tmp_path),)) as system:
        await told(system)
        first = max((tmp_path / "checkpoints").iterdir())
        other = resigned(system, int(first.name), bytes(32))
        first.write_text(other)
        async with system.stores["audit"].begin() as unit:
            await unit.apply([Delete("tree_published", {"target": str(tmp_path)})])
        with pytest.raises(Exception, match="holds another checkpoint"):
            await system.settle()
        assert first.read_text() == other
        assert KeyFile.of(system.settings).path.exists()


async def test_a_verification_runs_by_itself_when_it_is_due():
    async with running(DEFINITION, verification_seconds=3_600.0) as system:
        await told(system)
        (item,) = (await get(system, "/v1/verifications"))["items"]
        assert (item["requested_by"], item["outcome"]) == ("schedule", "equal")
        await system.settle()
        assert len((await get(system, "/v1/verifications"))["items"]) == 1
        assert item["result"]["tree"]["outcome"] == "equal"
