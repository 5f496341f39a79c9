"""The tree over a log in memory: what it covers, proofs checked by code that shares nothing with it, and rebuilds."""

from base64 import b64decode
from collections.abc import AsyncIterator

import pytest
from sigstore._internal import merkle as sigstore

from services.audit.domain import checkpoint, merkle, note
from services.audit.proofs.reading import TreeReader
from services.audit.service import DEFINITION
from shared.events import registry
from shared.log.records import Outgoing
from shared.log.tables import Put, Query
from tests.component.audit_given import APPROVED, BATCH, FLAG, Story, told
from tests.component.test_audit_api import get, problem
from tests.support import System, running
from tests.unit.audit.facts import event_id


@pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
async def system(request) -> AsyncIterator[System]:
    async with running(DEFINITION, partitions=request.param) as system:
        yield system


@pytest.fixture
async def story(system: System) -> Story:
    return await told(system)


async def newest(system: System) -> checkpoint.Checkpoint:
    """The checkpoint that is served, its signature checked by the key that is served."""
    response = await system.client.get("/checkpoint")
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    read = note.parse(response.text)
    keys = [note.parse_verifier(key["verifier"]) for key in (await get(system, "/v1/keys"))["items"]]
    assert note.verified_by(read, keys) == [keys[-1]]
    return checkpoint.parse(read.text)


def by_others(entry: bytes, index: int, size: int, proof: list[bytes]) -> bytes:
    """The root that sigstore's code computes from a proof."""
    inner, border = sigstore._decomp_inclusion_proof(index, size)
    assert len(proof) == inner + border
    seed = sigstore._chain_inner(sigstore._hash_leaf(entry), proof[:inner], index)
    return sigstore._chain_border_right(seed, proof[inner:])


async def say(story: Story, name: str) -> str:
    goal = registry.GoalStated(goal=name, question="?", owner="ana")
    return (await story.say(f"goal/{name}", goal, 12)).id


async def test_every_event_is_proven_and_an_independent_implementation_accepts_it(system: System, story: Story):
    head = await newest(system)
    rows = await system.stores["audit"].find(Query("ledger", limit=1000))
    proven = 0
    for row in rows:
        response = await system.client.get("/v1/proofs/inclusion", params={"event_id": row["event_id"]})
        if response.status_code == 409:
            assert row["type"] == "CheckpointSigned"
            continue
        answer = response.json()
        entry, proof = b64decode(answer["entry"]), [b64decode(one) for one in answer["proof"]]
        assert entry == row["entry"].encode()
        assert by_others(entry, answer["index"], answer["size"], proof) == head.root == b64decode(answer["root"])
        assert note.parse(answer["checkpoint"]).text == head.text
        proven += 1
    assert proven == head.size == len(rows) - 1


async def test_the_order_of_the_tree_follows_from_the_checkpoints_and_the_log_alone(system: System, story: Story):
    for number in range(4):
        await say(story, f"g{number}")
        await system.settle()
    leaves: dict[tuple, bytes] = {}
    for row in await system.stores["audit"].find(Query("ledger", limit=1000)):
        leaves[row["topic"], row["partition"], row["offset"]] = merkle.leaf_hash(row["entry"].encode())
    listed = (await get(system, "/v1/proofs/checkpoints", limit=3))["items"]
    assert [one["size"] for one in listed] == sorted((one["size"] for one in listed), reverse=True)
    frontier = merkle.Frontier()
    sizes = sorted(row["size"] for row in await system.stores["audit"].find(Query("checkpoints", limit=1000)))
    assert len(sizes) > 4
    for size in sizes:
        answer = await get(system, f"/v1/proofs/checkpoints/{size}")
        for run in answer["runs"]:
            assert run["first"] == frontier.size
            places = [(run["topic"], run["partition"], offset) for offset in range(run["begin"], run["end"])]
            frontier = frontier.extended(leaves[place] for place in places)
        assert (frontier.size, frontier.root) == (size, b64decode(answer["root"]))


async def test_checkpoints_alone_are_no_reason_to_sign(system: System, story: Story):
    before = await newest(system)
    for _ in range(3):
        await system.settle()
        for periodic in system.parts["audit"].periodic:
            await periodic.job()
    assert await newest(system) == before
    await say(story, "more")
    await system.settle()
    after = await newest(system)
    assert after.size > before.size
    proof = (await get(system, "/v1/proofs/consistency", **{"from": before.size}))["proof"]
    hashes = [b64decode(one) for one in proof]
    assert merkle.verify_consistency(before.size, before.root, after.size, after.root, hashes)


async def test_tiles_and_entries_give_the_same_root(system: System, story: Story):
    for number in range(250):
        await say(story, f"g{number}")
    await system.settle()
    head = await newest(system)
    assert head.size > 256
    full = await system.client.get("/tile/0/000")
    rest = await system.client.get(f"/tile/0/001.p/{head.size - 256}")
    upper = await system.client.get("/tile/1/000.p/1")
    for response in (full, rest, upper):
        assert response.status_code == 200, response.text
        assert "immutable" in response.headers["cache-control"]
        assert response.headers["content-type"] == "application/octet-stream"
    hashes = [(full.content + rest.content)[start : start + 32] for start in range(0, head.size * 32, 32)]
    assert merkle.root(hashes) == head.root
    assert merkle.root(hashes[:256]) == upper.content
    data = (await system.client.get("/tile/entries/000")).content
    data += (await system.client.get(f"/tile/entries/001.p/{head.size - 256}")).content
    entries = []
    while data:
        length = int.from_bytes(data[:2], "big")
        entries.append(data[2 : 2 + length])
        data = data[2 + length :]
    assert [merkle.leaf_hash(entry) for entry in entries] == hashes
    paged, start = [], 0
    while start is not None:
        page = await get(system, "/v1/proofs/entries", start=start, limit=100)
        paged += [item["entry"].encode() for item in page["items"]]
        start = page["next"]
    assert paged == entries


async def test_what_cannot_be_answered(system: System):
    await problem(system, "/checkpoint", 404, "no-checkpoint")
    story = await told(system)
    head = await newest(system)
    width = head.size
    await problem(system, "/tile/0/000", 404, "unknown-tile")
    await problem(system, f"/tile/0/000.p/{width + 1}", 404, "unknown-tile")
    await problem(system, "/tile/0/0", 404, "unknown-tile")
    await problem(system, "/tile/entries/x999/x999/x999/x999/x999/999", 404, "unknown-tile")
    await problem(system, "/tile/63/x999/x999/x999/x999/x999/999", 404, "unknown-tile")
    await problem(system, "/v1/proofs/inclusion", 404, "unknown-event", event_id=event_id(5_000))
    await problem(system, "/v1/proofs/inclusion", 404, "unknown-checkpoint", event_id=BATCH, size=2**53)
    await problem(system, "/v1/proofs/consistency", 422, "sizes-reversed", **{"from": 3, "to": 2})
    await problem(system, "/v1/proofs/consistency", 422, "tree-too-small", **{"from": 3, "to": width + 1})
    await problem(system, "/v1/proofs/bundle", 422, "invalid-request")
    new = await say(story, "new")
    consumer = system.consumer("audit.ledger")
    from tests.support import drain

    await drain(consumer, system.settings)
    answer = await system.client.get("/v1/proofs/inclusion", params={"event_id": new})
    assert (answer.status_code, answer.headers["retry-after"]) == (409, "5")
    assert answer.json()["type"].endswith(":not-yet-covered")
    assert "due by" in answer.json()["detail"]
    await system.settle()
    assert (await get(system, "/v1/proofs/inclusion", event_id=new))["index"] >= width
    await problem(system, "/v1/proofs/inclusion", 409, "not-covered", event_id=new, size=width)


async def test_a_record_that_comes_twice_has_one_leaf_and_a_letter_applied_later_gets_its_own(system: System):
    story = await told(system)
    goal = registry.GoalStated(goal="late", question="?", owner="ana")
    late = await story.say("goal/late", goal, 12)
    topic = "muniment.registry"
    log = system.log
    place = next(one for one, kept in log._records.items() if kept and kept[-1].key == "goal/late")
    kept = log._records[place]
    whole = kept[-1]
    kept[-1] = type(whole)(*place, whole.offset, whole.key, whole.headers, b"not json", whole.recorded)
    await say(story, "next")
    (batch,) = [one for records in log._records.values() for one in records if one.key == f"batch/{BATCH}"]
    await log.publish(batch.topic, [Outgoing(batch.key, batch.headers, batch.value)])
    await system.settle()
    store = system.stores["audit"]
    holes = {(row["topic"], row["offset"]) for row in await store.find(Query("tree_holes"))}
    assert (topic, whole.offset) in holes
    assert len(holes) == 2
    kept[-1 if kept[-1].offset == whole.offset else whole.offset] = whole
    for letter in list(store.committed.letters):
        store.committed.letters[letter] = type(store.committed.letters[letter])(
            "audit.ledger", whole, "damaged once", whole.recorded
        )
    replayed = await system.client.post("/v1/dead-letters:replay", json={})
    assert replayed.json()["applied"] == 1
    await system.settle()
    answer = await get(system, "/v1/proofs/inclusion", event_id=late.id)
    assert answer["index"] > 20
    left = {(row["topic"], row["offset"]) for row in await store.find(Query("tree_holes"))}
    assert left == holes - {(topic, whole.offset)}


async def rebuilt(system: System) -> None:
    await system.stores["audit"].clear_views("audit.ledger")
    consumer = system.consumer("audit.ledger")
    for place in await system.log.bounds(consumer.topics):
        consumer.forget(place)
    await system.settle()


TREE = ("checkpoints", "tree_runs", "tree_tiles", "tree_covered", "tree_holes")


def tree_rows(system: System) -> dict[str, list]:
    rows = system.stores["audit"].committed.rows
    return {name: sorted(map(repr, rows[name].values())) for name in TREE}


async def test_a_rebuild_gives_the_same_tree_and_signs_nothing(system: System, story: Story):
    for number in range(3):
        await say(story, f"g{number}")
        await system.settle()
    before = tree_rows(system)
    ends = await system.log.bounds(["muniment.audit"])
    await rebuilt(system)
    assert tree_rows(system) == before
    assert await system.log.bounds(["muniment.audit"]) == ends


async def test_a_log_that_was_altered_gives_no_tree_and_is_never_signed_on(system: System, story: Story):
    head = await newest(system)
    for place, records in system.log._records.items():
        for at, record in enumerate(records):
            if record.key == f"flag/{FLAG}" and b"wrong" in record.value:
                value = record.value.replace(b"wrong", b"right")
                records[at] = type(record)(*place, record.offset, record.key, record.headers, value, record.recorded)
    with pytest.raises(Exception, match=r"another root; altered within .*muniment\.feedback\["):
        await rebuilt(system)
    assert await TreeReader(system.stores["audit"]).newest() is None
    assert head.size


async def test_one_key_and_then_its_successor(system: System, story: Story, tmp_path):
    from services.audit.domain import keys as keys_stream
    from services.audit.worker.signing import KeyFile

    file = KeyFile.of(system.settings)
    assert file.path.stat().st_mode & 0o777 == 0o600
    (first,) = (await get(system, "/v1/keys"))["items"]
    assert (first["valid_until"], first["replaces"]) == (None, None)
    file.add(first["origin"])
    await say(story, "after")
    await system.settle()
    old, new = (await get(system, "/v1/keys"))["items"]
    assert (old["valid_until"], new["replaces"]) == (new["valid_from"], old["verifier"])
    trusted = note.parse_verifier(old["verifier"])
    assert str(keys_stream.successor(new["endorsement"], trusted)) == new["verifier"]
    await newest(system)  # by the new key
    lines = file.path.read_text().splitlines()
    file.path.write_text(lines[0] + "\n")
    await say(story, "foreign")
    with pytest.raises(Exception, match="whose private key is not in"):
        await system.settle()
    file.path.unlink()
    file.add(first["origin"], lost=new["verifier"])
    await system.settle()
    third = (await get(system, "/v1/keys"))["items"][-1]
    assert third["replaces"] == new["verifier"]
    await newest(system)


async def test_a_bundle_holds_all_that_a_stranger_needs(system: System, story: Story):
    seen = await newest(system)
    await say(story, "more")
    await system.settle()
    asked = {"event_id": [APPROVED, BATCH], "since": seen.size, "tables": True}
    bundle = await get(system, "/v1/proofs/bundle", **asked)
    assert [one["event_id"] for one in bundle["entries"]] == [APPROVED, BATCH]
    head = checkpoint.parse(note.parse(bundle["checkpoint"]).text)
    proof = [b64decode(one) for one in bundle["consistency"]["proof"]]
    assert merkle.verify_consistency(seen.size, seen.root, head.size, head.root, proof)
    approval, batch = bundle["entries"]
    assert "table" not in approval
    from hashlib import sha256

    assert sha256(b64decode(batch["table"])).hexdigest() in b64decode(batch["entry"]).decode()


async def test_lost_tiles_are_told_and_no_proof_is_made_up(system: System, story: Story):
    store = system.stores["audit"]
    async with store.begin() as unit:
        await unit.apply([Put("tree_tiles", {"tile": 0, "hashes": b""})])
    await problem(system, "/v1/proofs/inclusion", 410, "tree-damaged", event_id=APPROVED)
    await problem(system, "/tile/0/000.p/3", 410, "tree-damaged")
