"""Cold parts of the ledger: what is archived reads, proves and exports as before; what is altered in it is found."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from muniment.cli.main import app
from services.audit.domain import merkle
from services.audit.parts.place import Place
from services.audit.parts.store import with_parts
from services.audit.projection.parts import PARTS
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER, archiving
from services.audit.worker.archiving import Archiver
from services.audit.worker.signing import KeyFile
from shared.events import registry
from shared.log.memory import MemoryStore
from shared.log.tables import Put, Query
from shared.runtime.checking import check_views
from tests.component.audit_given import told
from tests.component.test_audit_api import PREDICTION, get, problem, verified
from tests.support import System, running

GOALS = 620
LEAVES = 256


@dataclass
class Recorded:
    """A system with some 650 leaves, and what it answered before anything was archived."""

    system: System
    before: dict[str, object]

    @property
    def store(self) -> MemoryStore:
        return self.system.stores["audit"]

    @property
    def folder(self) -> Path:
        return self.system.settings.data_dir / "ledger"

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    async def archived(self) -> None:
        """Archive what is due under other settings than the system's own, and let it drop that."""
        service = self.system.services["audit"]
        changed = {"ledger_hot_leaves": 100, "ledger_part_leaves": LEAVES}
        policy = replace(service, settings=service.settings.model_copy(update=changed))
        await Archiver(with_parts(policy), LEDGER).run()
        await self.system.settle()

    async def rebuilt(self) -> None:
        await self.store.clear_views(LEDGER)
        consumer = self.system.consumer(LEDGER)
        for place in await self.system.log.bounds(consumer.topics):
            consumer.forget(place)
        await self.system.settle()


@pytest.fixture
async def recorded() -> AsyncIterator[Recorded]:
    async with running(DEFINITION, partitions=2) as system:
        story = await told(system)
        for number in range(GOALS):
            goal = registry.GoalStated(goal=f"g{number}", question="?", owner="ana")
            await story.say(f"goal/g{number}", goal, 12)
        await system.settle()
        yield Recorded(system, await answers(system))


QUESTIONS: dict[str, dict] = {
    f"/v1/lineage/prediction/{PREDICTION}": {"at": "2013-04-19T00:00:00Z", "known_at": "2013-04-20T00:00:00Z"},
    "/v1/lineage/version/flights@1": {"at": "2013-04-05T00:00:00Z", "known_at": "2013-04-20T00:00:00Z"},
    "/v1/estate": {"at": "2013-04-08T00:00:00Z", "known_at": "2013-04-20T00:00:00Z"},
    "/v1/timeline/model/flights": {"known_at": "2013-04-20T00:00:00Z"},
    "/v1/events": {"to": "2013-04-30T00:00:00Z", "limit": 1000},
    "/v1/proofs/entries": {"limit": 512},
    "/v1/proofs/inclusion": {},
}


async def answers(system: System) -> dict[str, object]:
    """What is asked about what will be cold."""
    rows = (await get(system, "/v1/proofs/entries", limit=512))["items"]
    sizes = [one["size"] for one in (await get(system, "/v1/proofs/checkpoints", limit=1000))["items"]]
    found: dict[str, object] = {}
    for path, query in QUESTIONS.items():
        if path.endswith("inclusion"):
            query = query | {"event_id": rows[300]["event_id"], "size": min(size for size in sizes if size > 300)}
        found[path] = {name: value for name, value in (await get(system, path, **query)).items() if name != "size"}
        found[path].pop("ledger", None)  # type: ignore[attr-defined]
        found[path].pop("next", None)  # type: ignore[attr-defined]
    for path in ("/tile/entries/000", "/tile/entries/001", "/tile/0/000"):
        found[path] = (await system.client.get(path)).content
    found["bundle"] = (await get(system, "/v1/proofs/bundle", event_id=[rows[5]["event_id"]], tables=True))["entries"][
        0
    ]["entry"]
    return found


async def test_nothing_is_archived_unless_it_is_asked_for(recorded: Recorded):
    assert not recorded.folder.exists()
    assert (await get(recorded.system, "/v1/proofs/parts"))["items"] == []


async def test_what_is_archived_answers_as_before(recorded: Recorded):
    await recorded.archived()
    system = recorded.system
    parts = (await get(system, "/v1/proofs/parts"))["items"]
    assert [(part["part"], part["first"], part["end"], part["dropped"]) for part in parts] == [
        (2, 256, 512, 256),
        (1, 0, 256, 256),
    ]
    held = [row["entry"] for row in recorded.store.committed.rows["ledger"].values()]
    assert held.count(None) == 2 * LEAVES
    assert await answers(system) == recorded.before
    answer = await verified(system)
    assert (answer["outcome"], answer["result"]["tree"]["parts"]) == ("equal", 2), answer["first_difference"]
    exported = await system.client.get("/v1/export/events", params={"known_at": "2013-04-20T00:00:00Z"})
    path = recorded.folder.parent / "events.parquet"
    path.write_bytes(exported.content)
    assert None not in pq.read_table(path)["entry"].to_pylist()


async def test_a_part_proves_itself(recorded: Recorded):
    """By its own metadata, with the arithmetic of RFC 9162 alone."""
    await recorded.archived()
    assert recorded.files
    for path in recorded.files:
        table = pq.read_table(path)
        told = json.loads(table.schema.metadata[b"muniment.part"])
        hashes = [merkle.leaf_hash(entry.encode()) for entry in table["entry"].to_pylist()]
        assert hashes == table["hash"].to_pylist()
        assert table["leaf"].to_pylist() == list(range(told["first"], told["end"]))
        root, height = merkle.root(hashes), (told["end"] - told["first"]).bit_length() - 1
        assert root == b64decode(told["root"])
        place, last = told["first"] >> height, (told["size"] - 1) >> height
        proof = [b64decode(one) for one in told["proof"]]
        assert merkle.verify_inclusion(root, place, last + 1, proof, b64decode(told["checkpoint"].split("\n")[2]))


async def test_the_check_of_the_views_and_a_rebuild_give_the_same(recorded: Recorded):
    await recorded.archived()
    service = recorded.system.services["audit"]
    outcome = await check_views(DEFINITION, service, MemoryStore("audit", DEFINITION.tables))
    assert outcome.verdict == "equal", outcome
    before = {name: dict(rows) for name, rows in recorded.store.committed.rows.items() if name in RESTORED}
    await recorded.rebuilt()
    for name, rows in before.items():
        assert recorded.store.committed.rows[name] == rows, name


RESTORED = ("ledger", "edges", "ledger_parts", "tree_tiles", "checkpoints")


STEPS = ("write", "read back", "state", "begin to drop", "go on dropping")


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_a_worker_that_dies_at_any_step_leaves_every_entry_once(
    recorded: Recorded, monkeypatch: pytest.MonkeyPatch, step: str, after: bool
):
    monkeypatch.setattr(archiving, "DROPPED_AT_ONCE", 100)
    service = recorded.system.services["audit"]
    names = {
        "write": (Place, "put", 1),
        "read back": (Archiver, "_read_back", 1),
        "state": (type(service.commands), "handle_in", 1),
        "begin to drop": (Archiver, "_sound", 1),
        "go on dropping": (Archiver, "_drop", 2),
    }
    owner, name, times = names[step]
    killing(monkeypatch, owner, name, times, after)
    with pytest.raises(Killed):
        await recorded.archived()
    monkeypatch.undo()
    assert (await answers(recorded.system)) == recorded.before, "while it is dead, too"
    await recorded.archived()
    assert (await answers(recorded.system)) == recorded.before
    stated = await recorded.store.find(Query("ledger", order=("sequence",), limit=5000))
    assert [row["sequence"] for row in stated if row["type"] == "LedgerPartArchived"] == [1, 2]
    assert len(recorded.files) == 2, "a file of a killed worker is the one of the next"
    assert (await verified(recorded.system))["outcome"] == "equal"


class Killed(BaseException):
    """Nothing catches it, as nothing catches SIGKILL; units of work open meanwhile are undone."""


def killing(monkeypatch: pytest.MonkeyPatch, owner: type, name: str, times: int, after: bool) -> None:
    call, left = getattr(owner, name), [times]

    async def dying(*arguments, **named):
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Killed
        result = await call(*arguments, **named)
        if left[0] == 0:
            raise Killed
        return result

    def dying_at_once(*arguments, **named):
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Killed
        call(*arguments, **named)
        if left[0] == 0:
            raise Killed

    monkeypatch.setattr(owner, name, dying if name != "put" else dying_at_once)


def changed_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def changed_entry(path: Path) -> None:
    """By somebody who writes a sound file of the same form."""
    table = pq.read_table(path)
    entries = table["entry"].to_pylist()
    entries[40] = entries[40].replace('"actor":"', '"actor":"x')
    place = table.schema.get_field_index("entry")
    pq.write_table(table.set_column(place, table.schema.field(place), [entries]), path, row_group_size=1024)


def swapped(path: Path) -> None:
    other = next(one for one in path.parent.iterdir() if one != path)
    mine, its = path.read_bytes(), other.read_bytes()
    path.write_bytes(its)
    other.write_bytes(mine)


LIES: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "a byte changed": (changed_byte, 0, "leaves 0 to 255"),
    "an entry changed": (changed_entry, 40, "leaf 40"),
    "a part missing": (lambda path: path.unlink(), 0, "not there"),
    "two parts swapped": (swapped, 0, "another part's file"),
    "the end cut off": (lambda path: path.write_bytes(path.read_bytes()[:-100]), 0, "cannot be read"),
    "emptied": (lambda path: path.write_bytes(b""), 0, "cannot be read"),
}


@pytest.mark.parametrize("name", LIES)
async def test_what_is_altered_in_a_part_is_found_and_located(recorded: Recorded, name: str):
    await recorded.archived()
    lie, leaf, word = LIES[name]
    lie(recorded.files[0])
    system = recorded.system
    answer = await verified(system)
    tree = answer["result"]["tree"]
    text = answer["first_difference"]
    assert (answer["outcome"], tree["outcome"], tree["leaf"]) == ("different", "different", leaf), text
    assert word in text, text
    assert "ledger part 1 (leaves 0 to 255" in text, text
    assert tree["place"], "the record of the log that can replace it"
    row = next(row for row in recorded.store.committed.rows["ledger"].values() if row["cold"] == leaf)
    if name != "a byte changed":  # which is of another column, and this entry is whole
        told = await problem(system, f"/v1/events/{row['event_id']}", 410, "ledger-part-lost")
        assert "ledger part 1" in told["detail"]


async def test_a_row_that_points_elsewhere_and_a_part_that_is_told_otherwise_are_found(recorded: Recorded):
    await recorded.archived()
    row = dict(next(row for row in recorded.store.committed.rows["ledger"].values() if row["cold"] == 3))
    part = await recorded.store.get(PARTS.name, 1)
    assert part is not None
    for change, back, word in (
        (Put("ledger", {"event_id": row["event_id"], "cold": 4}), Put("ledger", row), row["event_id"]),
        (Put(PARTS.name, {"part": 1, "length": 1}), Put(PARTS.name, part), "length is 1"),
        (Put(PARTS.name, {"part": 1, "root": bytes(32)}), Put(PARTS.name, part), "root is"),
    ):
        async with recorded.store.begin() as unit:
            await unit.apply([change])
        answer = await verified(recorded.system)
        assert (answer["outcome"], word in answer["first_difference"]) == ("different", True), answer
        async with recorded.store.begin() as unit:
            await unit.apply([back])
    assert (await verified(recorded.system))["outcome"] == "equal"


async def test_nothing_leaves_the_ledger_while_its_file_is_lost(recorded: Recorded):
    """A rebuild with the file gone keeps what the log gives, and says so."""
    await recorded.archived()
    recorded.files[0].unlink()
    with pytest.raises(archiving.PartBroken, match=r"000000000000-000000000256.*not there"):
        await recorded.rebuilt()
    assert await answers(recorded.system) == recorded.before


async def test_the_cache_is_bounded(recorded: Recorded):
    await recorded.archived()
    service = recorded.system.services["audit"]
    service.settings = service.settings.model_copy(update={"ledger_cache_bytes": 1})
    reading = with_parts(service)
    parts = reading.store.parts  # type: ignore[attr-defined]
    for leaf in (0, 300, 1, 301):
        row = next(row for row in recorded.store.committed.rows["ledger"].values() if row["cold"] == leaf)
        found = await reading.store.get("ledger", row["event_id"])
        assert found is not None
        assert found["entry"]
        assert len(parts._groups) == 1


def offline(folder: Path, key: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["verify", "--parts", str(folder), "--trusted", key])
    return done.exit_code, done.output


OFFLINE: dict[str, str] = {
    "a byte changed": "cannot be read",
    "an entry changed": "leaf 40 (event",
    "a part missing": "leaves 0 to 255 are in no part",
    "two parts swapped": "not those of its name",
    "the end cut off": "cannot be read",
    "emptied": "cannot be read",
}


@pytest.mark.parametrize("name", ["nothing", *OFFLINE])
async def test_parts_are_verified_offline(recorded: Recorded, name: str):
    await recorded.archived()
    key = (await get(recorded.system, "/v1/keys"))["items"][0]["verifier"]
    if name == "nothing":
        assert offline(recorded.folder, key) == (0, "Holds: 2 parts, leaves 0 to 511\n")
        other = KeyFile(recorded.folder.parent / "other.key").add(key.partition("+")[0])
        code, text = offline(recorded.folder, str(other.verifier))
        assert (code, text.count("no trusted key of")) == (1, 2), text
        assert offline(recorded.folder.parent / "nowhere", key)[0] == 2
        return
    LIES[name][0](recorded.files[0])
    code, text = offline(recorded.folder, key)
    assert (code, OFFLINE[name] in text) == (1, True), text
