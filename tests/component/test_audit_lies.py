"""A server that lies: whatever it alters, in the log, in the ledger or in what it shows, is found and located.

Strangers use the stand-alone script, run as a program of its own; the operator's own check is a verification.
"""

import json
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Callable, Sequence
from copy import deepcopy
from pathlib import Path

import pytest
from msgspec.structs import replace

from services.audit.domain.checkpoint import Checkpoint
from services.audit.domain.note import Note
from services.audit.service import DEFINITION
from services.audit.worker.signing import KeyFile
from shared.events import registry
from shared.log.records import Record, TopicPartition
from shared.log.tables import Delete, Put, Query
from tests.component.audit_given import APPROVED, BATCH, Story, told
from tests.component.test_audit_api import get, verified
from tests.support import System, running

SCRIPT = Path(__file__).parents[2] / "muniment" / "verify_standalone.py"


def script(kind: str, path: Path, key: str, *more: str, python: Sequence[str] = ("-I",)) -> tuple[int, str]:
    """What the stand-alone script says, in a process without this project; with `-S` without any package."""
    command = [sys.executable, *python, str(SCRIPT), kind, str(path), "--key", key, *more]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=path.parent)
    assert not done.stderr, done.stderr
    return done.returncode, done.stdout


@pytest.fixture
async def system(tmp_path) -> AsyncIterator[System]:
    urls = (str(tmp_path / "outside"),)
    async with running(DEFINITION, partitions=2, checkpoint_urls=urls) as system:
        story = await told(system)
        for number in range(6):
            goal = registry.GoalStated(goal=f"g{number}", question="?", owner="ana")
            await story.say(f"goal/g{number}", goal, 12)
            await system.settle()
        yield system


async def key_of(system: System) -> str:
    return (await get(system, "/v1/keys"))["items"][0]["verifier"]


async def written(system: System, folder: Path) -> Path:
    """The record as `muniment record` writes it, over the ASGI client."""
    listed = (await get(system, "/v1/proofs/checkpoints", limit=1000))["items"][::-1]
    size = listed[-1]["size"]
    told = [await get(system, f"/v1/proofs/checkpoints/{one['size']}") for one in listed]
    entries = (await get(system, "/v1/proofs/entries"))["items"]
    keys = (await get(system, "/v1/keys"))["items"]
    hashes = (await system.client.get(f"/tile/0/000.p/{size}")).content
    write(folder, told, entries, hashes)
    (folder / "keys.json").write_text(json.dumps(keys))
    return folder


def write(folder: Path, checkpoints: list[dict], entries: list[dict], hashes: bytes) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "checkpoints.jsonl").write_text("".join(json.dumps(one) + "\n" for one in checkpoints))
    (folder / "entries.jsonl").write_text("".join(json.dumps(one) + "\n" for one in entries))
    (folder / "hashes.bin").write_bytes(hashes)


def read(folder: Path) -> tuple[list[dict], list[dict], bytes]:
    def lines(name: str) -> list[dict]:
        return [json.loads(line) for line in (folder / name).read_text().splitlines()]

    return lines("checkpoints.jsonl"), lines("entries.jsonl"), (folder / "hashes.bin").read_bytes()


async def test_an_honest_record_holds(system: System, tmp_path: Path):
    folder = await written(system, tmp_path / "record")
    outside = sorted((tmp_path / "outside" / "checkpoints").iterdir())
    assert len(outside) > 3
    seen = [f"--seen={path}" for path in outside]
    for python in (["-I"], ["-I", "-S"]):
        code, text = script("record", folder, await key_of(system), *seen, python=python)
        assert (code, text.startswith("Holds: ")) == (0, True), text


def renumber(entries: list[dict]) -> list[dict]:
    return [{**entry, "index": index} for index, entry in enumerate(entries)]


def flip(entries: list[dict], at: int) -> list[dict]:
    entry = entries[at]["entry"].replace('"actor":"', '"actor":"x', 1)
    return [*entries[:at], {**entries[at], "entry": entry}, *entries[at + 1 :]]


LEAF = 7
ALTERED: dict[str, Callable[[list[dict], list[dict], bytes], tuple[list[dict], list[dict], bytes]]] = {
    "a bit flipped in an entry": lambda c, e, h: (c, flip(e, LEAF), h),
    "an entry deleted": lambda c, e, h: (c, renumber([*e[:LEAF], *e[LEAF + 1 :]]), h),
    "an entry deleted without renumbering": lambda c, e, h: (c, [*e[:LEAF], *e[LEAF + 1 :]], h),
    "an entry inserted": lambda c, e, h: (c, renumber([*e[:LEAF], flip(e, LEAF)[LEAF], *e[LEAF:]]), h),
    "two entries swapped": lambda c, e, h: (
        c,
        renumber([*e[:LEAF], e[LEAF + 2], e[LEAF + 1], e[LEAF], *e[LEAF + 3 :]]),
        h,
    ),
    "two contents swapped": lambda c, e, h: (
        c,
        [
            *e[:LEAF],
            {**e[LEAF], "entry": e[LEAF + 1]["entry"]},
            {**e[LEAF + 1], "entry": e[LEAF]["entry"]},
            *e[LEAF + 2 :],
        ],
        h,
    ),
    "a bit flipped in the tree": lambda c, e, h: (
        c,
        e,
        h[: LEAF * 32] + bytes([h[LEAF * 32] ^ 1]) + h[LEAF * 32 + 1 :],
    ),
    "a hash deleted from the tree": lambda c, e, h: (c, e, h[: LEAF * 32] + h[LEAF * 32 + 32 :]),
    "a hash inserted into the tree": lambda c, e, h: (c, e, h[: LEAF * 32] + bytes(32) + h[LEAF * 32 :]),
    "two hashes swapped in the tree": lambda c, e, h: (
        c,
        e,
        h[: LEAF * 32] + h[LEAF * 32 + 32 : LEAF * 32 + 64] + h[LEAF * 32 : LEAF * 32 + 32] + h[LEAF * 32 + 64 :],
    ),
    "the tree truncated": lambda c, e, h: (c, e, h[: LEAF * 32]),
}


@pytest.mark.parametrize("name", ALTERED)
async def test_a_stranger_finds_the_leaf_that_was_altered(system: System, tmp_path: Path, name: str):
    folder = await written(system, tmp_path / "record")
    write(folder, *ALTERED[name](*read(folder)))
    code, text = script("record", folder, await key_of(system))
    assert code == 1, text
    place = read(folder)[1][LEAF]
    assert f"leaf {LEAF} (" in text.splitlines()[0], text
    assert place["topic"] in text


async def test_a_stranger_finds_that_the_record_was_truncated(system: System, tmp_path: Path):
    folder = await written(system, tmp_path / "record")
    checkpoints, entries, hashes = read(folder)
    key, seen = await key_of(system), tmp_path / "seen"
    seen.write_text(checkpoints[-1]["checkpoint"])
    size = checkpoints[-2]["size"]
    write(folder, checkpoints, entries[:-3], hashes[:-96])
    code, text = script("record", folder, key)
    assert (code, f"leaf {len(entries) - 3}: the record ends before it" in text) == (1, True), text
    write(folder, checkpoints[:-1], entries[:size], hashes[: size * 32])  # a whole older record holds …
    assert script("record", folder, key)[0] == 0
    code, text = script("record", folder, key, f"--seen={seen}")  # … but for who saw more
    assert (code, f"all from leaf {size} on are gone" in text) == (1, True), text


def resigned(system: System, size: int, root: bytes) -> str:
    """A checkpoint by the true key over whatever the operator likes."""
    (signer,), _ = KeyFile.of(system.settings).read()
    text = Checkpoint(signer.name, size, root).text
    return str(Note(text, (signer.sign(text),)))


async def test_a_stranger_finds_replaced_checkpoints_and_split_views(system: System, tmp_path: Path):
    folder = await written(system, tmp_path / "record")
    checkpoints, entries, hashes = read(folder)
    key, middle = await key_of(system), checkpoints[2]
    size = middle["size"]
    forged = {**middle, "checkpoint": resigned(system, size, bytes(32))}
    write(folder, [*checkpoints[:2], forged, *checkpoints[3:]], entries, hashes)
    code, text = script("record", folder, key)
    assert (code, f"not what the checkpoint of {size} leaves signed" in text) == (1, True), text
    write(folder, [*checkpoints[:3], {**forged, "runs": []}, *checkpoints[3:]], entries, hashes)
    code, text = script("record", folder, key)
    assert (code, f"two views: two checkpoints of {size} leaves" in text) == (1, True), text
    seen = tmp_path / "seen"
    seen.write_text(forged["checkpoint"])
    write(folder, checkpoints, entries, hashes)
    code, text = script("record", folder, key, f"--seen={seen}")
    assert (code, f"two views: its checkpoint of {size} leaves is another here" in text) == (1, True), text
    write(folder, [*checkpoints[:2], *checkpoints[3:]], entries, hashes)
    code, text = script("record", folder, key)
    assert code == 1, text
    seen.write_text(middle["checkpoint"].replace("muniment.local", "muniment.other"))
    write(folder, checkpoints, entries, hashes)
    assert "no trusted key" in script("record", folder, key, f"--seen={seen}")[1]


async def test_a_record_signed_by_somebody_else_is_refused(system: System, tmp_path: Path):
    folder = await written(system, tmp_path / "record")
    other = KeyFile(tmp_path / "other.key").add((await key_of(system)).partition("+")[0])
    code, text = script("record", folder, str(other.verifier))
    assert (code, "no trusted key" in text) == (1, True), text
    (folder / "entries.jsonl").write_text("{")
    assert script("record", folder, await key_of(system))[0] == 2


async def bundled(system: System, tmp_path: Path, **query) -> tuple[Path, dict]:
    bundle = await get(system, "/v1/proofs/bundle", event_id=[APPROVED, BATCH], tables=True, **query)
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(bundle))
    return path, bundle


LIES: dict[str, tuple[Callable[[dict], None], str]] = {
    "another content": (
        lambda b: b["entries"][0].update(entry=b64encode(b64decode(b["entries"][0]["entry"]) + b" ").decode()),
        "does not lead to the checkpoint's root",
    ),
    "another place": (lambda b: b["entries"][0].update(index=b["entries"][0]["index"] + 1), "does not lead"),
    "another event": (lambda b: b["entries"][0].update(event_id=BATCH), "that of another event"),
    "other rows": (lambda b: b["entries"][1].update(table=""), "the rows are not those"),
    "a negative place": (lambda b: b["entries"][0].update(index=-1), "does not lead"),
    "a checkpoint that nobody signed": (
        lambda b: b.update(checkpoint=b["checkpoint"].replace("\n\n", "\nmore\n\n")),
        "is false",
    ),
    "a false link to what was seen": (lambda b: b["consistency"]["proof"].reverse(), "two views"),
    "no link to what was seen": (lambda b: b.pop("consistency"), "ask for since="),
}


async def test_bundles_and_lies_about_them(system: System, tmp_path: Path):
    listed = (await get(system, "/v1/proofs/checkpoints", limit=1000))["items"]
    seen = tmp_path / "seen"
    seen.write_text(listed[2]["checkpoint"])
    path, bundle = await bundled(system, tmp_path, since=listed[2]["size"])
    key = await key_of(system)
    code, text = script("bundle", path, key, f"--seen={seen}")
    assert (code, text.startswith("Holds: 2 events")) == (0, True), text
    approved = json.loads(b64decode(bundle["entries"][0]["entry"]))
    assert f"ApprovalGranted of {approved['subject']}, by {approved['actor']}, at {approved['time']}" in text, text
    code, shown = script("bundle", path, key, "--show")
    assert json.dumps(approved, indent=2) in shown, "all that is proven can be read"
    for name, (lie, word) in LIES.items():
        told = json.loads(json.dumps(bundle))
        lie(told)
        path.write_text(json.dumps(told))
        code, text = script("bundle", path, key, f"--seen={seen}")
        assert (code, word in text) == (1, True), (name, text)
    path.write_text(json.dumps(bundle))
    seen.write_text(resigned(system, bundle_size(bundle), bytes(32)))
    code, text = script("bundle", path, key, f"--seen={seen}")
    assert (code, "two views" in text) == (1, True), text


def bundle_size(bundle: dict) -> int:
    return int(bundle["checkpoint"].split("\n")[1])


async def test_a_bundle_signed_by_a_successor_of_the_trusted_key_holds(system: System, tmp_path: Path):
    key = await key_of(system)
    KeyFile.of(system.settings).add(key.partition("+")[0])
    story = Story(system, 500)
    await story.say("goal/x", registry.GoalStated(goal="x", question="?", owner="ana"), 13)
    await system.settle()
    path, bundle = await bundled(system, tmp_path)
    assert script("bundle", path, key)[0] == 0
    bundle["keys"] = bundle["keys"][:1]
    path.write_text(json.dumps(bundle))
    code, text = script("bundle", path, key)
    assert (code, "no trusted key" in text) == (1, True), text


def records_of(system: System, place: TopicPartition) -> list[Record]:
    return system.log._records[place]


async def leaf_row(system: System) -> tuple[int, dict]:
    row = await system.stores["audit"].get("ledger", APPROVED)
    assert row is not None
    answer = await get(system, "/v1/proofs/inclusion", event_id=APPROVED)
    return answer["index"], row


def consistently(system: System, row: dict, actor: str) -> dict:
    """The row after its record in the log, too, was changed: log and ledger agree on the lie."""
    from services.audit.projection import fold
    from shared.events.codec import decode

    records = records_of(system, TopicPartition(row["topic"], row["partition"]))
    record = records[row["offset"]]
    headers = tuple((name, actor.encode() if name == "ce_actor" else value) for name, value in record.headers)
    records[row["offset"]] = replace(record, headers=headers)
    from services.audit.projection import COLUMNS

    (folded,) = fold(decode(records[row["offset"]]), records[row["offset"]])["ledger"]
    return dict(zip(COLUMNS["ledger"], folded, strict=True))


async def test_a_lie_told_alike_in_log_and_ledger_is_found_by_the_tree(system: System):
    index, row = await leaf_row(system)
    async with system.stores["audit"].begin() as unit:
        await unit.apply([Put("ledger", consistently(system, row, "mallory"))])
    answer = await verified(system)
    tree = answer["result"]["tree"]
    place = {name: row[name] for name in ("topic", "partition", "offset")}
    assert (answer["outcome"], tree["outcome"], tree["leaf"], tree["place"]) == ("different", "different", index, place)
    assert answer["first_difference"] == tree["first_difference"]
    assert f"tree leaf {index} ({row['topic']}[{row['partition']}] offset {row['offset']})" in tree["first_difference"]


async def test_a_verification_locates_what_was_altered_in_the_ledger_and_the_tree(system: System):
    index, row = await leaf_row(system)
    store = system.stores["audit"]
    kept = deepcopy(store.committed.rows)
    tile = await store.get("tree_tiles", 0)
    newest = (await store.find(Query("checkpoints", order=("-sequence",), limit=1)))[0]
    (run,) = [
        one for one in kept["tree_runs"].values() if one["first"] <= index < one["first"] + one["end"] - one["begin"]
    ]
    hashes, at = tile["hashes"], index * 32
    swapped = hashes[:at] + hashes[at + 32 : at + 64] + hashes[at : at + 32] + hashes[at + 64 :]

    def tiled(data: bytes) -> Put:
        return Put("tree_tiles", {"tile": 0, "hashes": data})

    root = bytes(32)
    forged = {"root": root, "note": resigned(system, newest["size"], root)}
    lies = {
        f"tree leaf {index} ": [
            Put("ledger", {"event_id": APPROVED, "leaf": bytes(32)}),
            Delete("ledger", {"event_id": APPROVED}),
            Put("ledger", {**row, "event_id": "x"}),
            tiled(hashes[:at] + bytes([hashes[at] ^ 1]) + hashes[at + 1 :]),
            tiled(hashes[:at] + hashes[at + 32 :]),
            tiled(hashes[:at] + bytes(32) + hashes[at:]),
            tiled(hashes[:at]),
            tiled(swapped),
        ],
        f"tree leaf {run['first']}": [
            Put("tree_runs", {"first": run["first"], "begin": run["begin"] + 1, "end": run["end"] + 1}),
            Delete("tree_runs", {"first": run["first"]}),
        ],
        f"{newest['size']} leaves": [
            Put("checkpoints", {"sequence": newest["sequence"], **forged}),
            Put("checkpoints", {"sequence": newest["sequence"], "root": root}),
            Put("checkpoints", {"sequence": newest["sequence"], "size": newest["size"] + 1}),
            Put("checkpoints", {**newest, "sequence": newest["sequence"] + 5, "size": newest["size"] + 9}),
        ],
    }
    from services.audit.proofs.checking import check_tree

    async def nothing() -> None:
        return None

    for where, changes in lies.items():
        for change in changes:
            async with store.begin() as unit:
                await unit.apply([change])
            found = await check_tree(store, (), nothing)
            assert found.first_difference, change
            if newest["sequence"] + 5 != change.row.get("sequence") if isinstance(change, Put) else True:
                assert where.strip() in found.first_difference, (change, found.first_difference)
            store.committed.rows = deepcopy(kept)
    assert (await check_tree(store, (), nothing)).first_difference is None


async def test_copies_outside_show_another_view_and_a_loss(system: System, tmp_path: Path):
    sizes = sorted(int(path.name) for path in (tmp_path / "outside" / "checkpoints").iterdir())
    answer = await verified(system)
    tree = answer["result"]["tree"]
    assert (answer["outcome"], tree["copies"]) == ("equal", len(sizes))
    copy = tmp_path / "outside" / "checkpoints" / f"{sizes[1]:019d}"
    true = copy.read_text()
    copy.write_text(resigned(system, sizes[1], bytes(32)))
    text = (await verified(system))["first_difference"]
    assert (f"checkpoint of {sizes[1]} leaves" in text, "two views" in text) == (True, True)
    copy.write_text(true)
    beyond = tmp_path / "outside" / "checkpoints" / f"{9_999:019d}"
    beyond.write_text(resigned(system, 9_999, bytes(32)))
    assert "a checkpoint of 9999 leaves, the record ends at" in (await verified(system))["first_difference"]
