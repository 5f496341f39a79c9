"""Seven kinds of alteration, each in the log, in the ledger and in a view: a verification finds it and tells its place.

The table of docs/proofs.md says the same in words. Strangers' own tools are tested in `test_audit_lies`.
"""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from copy import deepcopy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from msgspec.structs import replace

from services.audit.domain.merkle import Frontier, leaf_hash
from services.audit.projection.entry import entry
from services.audit.proofs.checking import check_tree
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER
from services.audit.worker.publishing import NotPublished
from shared.events import registry
from shared.events.codec import decode, payload_json
from shared.log.records import Record, TopicPartition
from shared.log.tables import Row
from tests.component.audit_given import Story, told
from tests.component.test_audit_api import verified
from tests.component.test_audit_lies import resigned
from tests.support import System, running

AT = 5
"""The place in the registry's topic where most alterations begin."""

CHECKPOINT = 2
"""Which checkpoint is replaced."""

PLACE = TopicPartition("muniment.registry", 0)
STATED = TopicPartition("muniment.audit", 0)


@dataclass(slots=True)
class Given:
    """A record with several checkpoints, and hands that may write anywhere."""

    system: System
    outside: Path

    @property
    def records(self) -> list[Record]:
        return self.system.log._records[PLACE]

    @records.setter
    def records(self, records: Sequence[Record]) -> None:
        self.system.log._records[PLACE] = [replace(one, offset=offset) for offset, one in enumerate(records)]

    @property
    def checkpoints(self) -> list[Record]:
        """The records that state checkpoints."""
        return [
            one for one in self.system.log._records[STATED] if (b"CheckpointSigned" in dict(one.headers)["ce_type"])
        ]

    def rows(self, table: str) -> dict[tuple[Any, ...], Row]:
        return self.system.stores["audit"].committed.rows[table]

    def ledger(self, at: int, place: TopicPartition = PLACE) -> Row:
        """The ledger's row of the record at an offset, to be written to."""
        named = (*place, at)
        return next(
            row for row in self.rows("ledger").values() if (row["topic"], row["partition"], row["offset"]) == named
        )

    def edge(self, at: int = AT) -> Row:
        """The first edge that follows from the event at an offset or later, to be written to."""
        edges = sorted(self.rows("edges").values(), key=lambda row: (row["event_id"], row["number"]))
        return next(row for row in edges if row["event_id"] >= self.ledger(at)["event_id"])

    def size(self, number: int = CHECKPOINT) -> int:
        return orjson.loads(self.checkpoints[number].value)["size"]


def flipped(data: bytes) -> bytes:
    """One bit of it another, in the middle."""
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


def flip_record(given: Given) -> None:
    records = given.records
    given.records = [*records[:AT], replace(records[AT], value=flipped(records[AT].value)), *records[AT + 1 :]]


def flip_entry(given: Given) -> None:
    row = given.ledger(AT)
    row["entry"] = flipped(row["entry"].encode()).decode()


def blur(name: str, given: Given) -> None:
    """An attribute that is no text any more."""
    records = given.records
    headers = tuple((one, b"\xff" + value[1:] if one == name else value) for one, value in records[AT].headers)
    given.records = [*records[:AT], replace(records[AT], headers=headers), *records[AT + 1 :]]


def change_key(given: Given) -> None:
    records = given.records
    given.records = [*records[:AT], replace(records[AT], key="goal/other"), *records[AT + 1 :]]


def insert_record(given: Given) -> None:
    """Another event between two, with a new id."""
    records = given.records
    headers = tuple((name, flipped(value) if name == "ce_id" else value) for name, value in records[AT].headers)
    given.records = [*records[:AT], replace(records[AT], headers=headers), *records[AT:]]


def insert_row(given: Given) -> None:
    """An event that the log has not, at a place that another has."""
    given.rows("ledger")["forged",] = given.ledger(AT) | {"event_id": "forged"}


def insert_edge(given: Given) -> None:
    edge = given.edge() | {"number": 99, "dst": "actor/mallory"}
    given.rows("edges")[edge["event_id"], 99] = edge


def swap(one: Row, other: Row, *columns: str) -> None:
    for name in columns:
        one[name], other[name] = other[name], one[name]


def swap_records(given: Given) -> None:
    records = given.records
    given.records = [*records[:AT], records[AT + 1], records[AT], *records[AT + 2 :]]


def swap_edges(given: Given) -> None:
    swap(given.edge(AT), given.edge(AT + 1), "src", "dst")


def drop(table: str, given: Given, first: Row) -> None:
    """The row, and every one whose event came after."""
    rows = given.rows(table)
    late = [key for key, row in rows.items() if row["event_id"] >= first["event_id"]]
    for key in late:
        del rows[key]


def cut_ledger(given: Given) -> None:
    rows = given.rows("ledger")
    for at in range(AT, len(given.records)):
        del rows[given.ledger(at)["event_id"],]


def forged(given: Given, record: Record) -> tuple[bytes, str]:
    """A checkpoint as another, over another tree of its size, by the true key: its data, and its note."""
    data = orjson.loads(record.value)
    note = resigned(given.system, data["size"], bytes(32))
    return orjson.dumps(data | {"root": b64encode(bytes(32)).decode(), "note": note}, option=orjson.OPT_SORT_KEYS), note


def replace_stated(given: Given) -> None:
    record = given.checkpoints[CHECKPOINT]
    given.system.log._records[STATED][record.offset] = replace(record, value=forged(given, record)[0])


def replace_entered(given: Given) -> None:
    record = given.checkpoints[CHECKPOINT]
    data = entry(replace(record, value=forged(given, record)[0]))
    given.ledger(record.offset, STATED).update(entry=data.decode(), leaf=leaf_hash(data))


def replace_kept(given: Given) -> None:
    _, note = forged(given, given.checkpoints[CHECKPOINT])
    row = next(row for row in given.rows("checkpoints").values() if row["size"] == given.size())
    row.update(root=bytes(32), note=note)


def show_another(given: Given) -> None:
    """Somebody outside was given another checkpoint of this size than the one on record."""
    size = given.size()
    (given.outside / "checkpoints" / f"{size:019d}").write_text(resigned(given.system, size, bytes(32)))


def delete_edge(given: Given) -> None:
    edge = given.edge()
    del given.rows("edges")[edge["event_id"], edge["number"]]


def place_of(given: Given) -> str:
    return f"({PLACE.topic}[0] offset {AT})"


def checkpoint_of(given: Given) -> str:
    return f"({STATED.topic}[0] offset {given.checkpoints[CHECKPOINT].offset})"


def parted(given: Given) -> str:
    return f"two views, which part between leaf {given.size(CHECKPOINT - 1)} and leaf {given.size() - 1}"


FOUND: dict[tuple[str, str], tuple[Callable[[Given], None], Callable[[Given], str]]] = {
    ("bit flip", "log"): (flip_record, place_of),
    ("bit flip", "ledger"): (flip_entry, place_of),
    ("bit flip", "view"): (
        lambda given: given.edge().update(dst=flipped(given.edge()["dst"].encode()).decode()),
        place_of,
    ),
    ("deletion", "log"): (
        lambda given: setattr(given, "records", [*given.records[:AT], *given.records[AT + 1 :]]),
        place_of,
    ),
    ("deletion", "ledger"): (lambda given: given.rows("ledger").pop((given.ledger(AT)["event_id"],)), place_of),
    ("deletion", "view"): (delete_edge, place_of),
    ("insertion", "log"): (insert_record, place_of),
    ("insertion", "ledger"): (insert_row, lambda _: f"event_id=forged ({PLACE.topic}[0] offset {AT})"),
    ("insertion", "view"): (insert_edge, place_of),
    ("swap", "log"): (swap_records, place_of),
    ("swap", "ledger"): (lambda given: swap(given.ledger(AT), given.ledger(AT + 1), "entry", "leaf"), place_of),
    ("swap", "view"): (swap_edges, place_of),
    ("truncation", "log"): (
        lambda given: setattr(given, "records", given.records[:AT]),
        lambda _: f"{PLACE.topic}[0] holds no record at offset {AT}",
    ),
    ("truncation", "ledger"): (cut_ledger, place_of),
    ("truncation", "view"): (lambda given: drop("edges", given, given.edge()), place_of),
    ("replaced checkpoint", "log"): (replace_stated, checkpoint_of),
    ("replaced checkpoint", "ledger"): (replace_entered, checkpoint_of),
    ("replaced checkpoint", "view"): (replace_kept, lambda given: f"checkpoint of {given.size()} leaves"),
    ("split view", "view"): (show_another, parted),
    ("another key", "log"): (change_key, lambda _: f"{PLACE.topic}[0] offset {AT}: its key is"),
    ("no text in content-type", "log"): (partial(blur, "content-type"), place_of),
    ("no text in ce_dataschema", "log"): (partial(blur, "ce_dataschema"), place_of),
}


@asynccontextmanager
async def recorded(outside: Path) -> AsyncIterator[Given]:
    async with running(DEFINITION, checkpoint_urls=(str(outside),)) as system:
        story = await told(system)
        for number in range(4):
            await story.say(f"goal/g{number}", registry.GoalStated(goal=f"g{number}", question="?", owner="ana"), 12)
            await system.settle()
        yield Given(system, outside)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def given(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Given]:
    async with recorded(tmp_path_factory.mktemp("outside")) as given:
        yield given


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("what", "where"), FOUND, ids=lambda word: word)
async def test_what_was_altered_is_found_and_located(given: Given, what: str, where: str):
    alter, located = FOUND[what, where]
    place = located(given)
    with restored(given):
        alter(given)
        answer = await verified(given.system)
    assert (answer["state"], answer["outcome"]) == ("completed", "different"), answer
    assert place in answer["first_difference"]
    again = await verified(given.system)
    assert again["outcome"] == "equal", again


@pytest.mark.asyncio(loop_scope="module")
async def test_a_checkpoint_copied_while_a_verification_runs_is_no_difference(given: Given):
    system, said = given.system, registry.GoalStated(goal="late", question="?", owner="ana")
    before = {*(given.outside / "checkpoints").iterdir()}

    async def meanwhile() -> None:
        if {*(given.outside / "checkpoints").iterdir()} == before:
            await Story(system, 1_000).say("goal/late", said, 12)
            await system.settle()

    found = await check_tree(system.stores["audit"], [str(given.outside)], meanwhile)
    assert {*(given.outside / "checkpoints").iterdir()} > before
    assert (found.first_difference, found.copies > len(before)) == (None, True)


@contextmanager
def restored(given: Given) -> Iterator[None]:
    """What is altered within is as it was afterwards; what was recorded meanwhile stays."""
    log, committed = given.system.log._records, given.system.stores["audit"].committed
    rows, claim = committed.rows, committed.claims[LEDGER, PLACE]
    copies = {path: path.read_text() for path in (given.outside / "checkpoints").iterdir()}
    records = {place: [*kept] for place, kept in log.items()}
    before = {table: deepcopy(kept) for table, kept in rows.items() if table in ("ledger", "edges", "checkpoints")}
    yield
    for place, kept in records.items():
        log[place] = [*kept, *(log[place][len(kept) :] if place != PLACE else [])]
    for table, kept in before.items():
        known = {row["event_id"] for row in before["ledger"].values()} | {"forged"}
        new = {key: row for key, row in rows[table].items() if row["event_id"] not in known}
        rows[table] = kept | new
    for path, text in copies.items():
        path.write_text(text)
    committed.claims[LEDGER, PLACE] = claim  # it may have read what was inserted
    given.system.consumer(LEDGER).forget(PLACE)


@pytest.mark.parametrize("where", ["log", "ledger"])
async def test_a_history_written_anew_and_signed_anew_is_two_views(tmp_path: Path, where: str):
    """The operator, who has the key, rewrites an event and every checkpoint since. Inside all fits; a copy in other
    hands does not. In the ledger alone it does not fit the log either."""
    async with recorded(tmp_path) as given:
        genuine, size = [*given.records], given.size(0)
        rewrite(given)
        await rebuild(given.system)
        assert (await verified(given.system))["result"]["tree"]["first_difference"].startswith(str(tmp_path))
        if where == "ledger":
            given.records = genuine
        answer = await verified(given.system)
        text = answer["first_difference"] if where == "ledger" else answer["result"]["tree"]["first_difference"]
        assert answer["outcome"] == "different"
        assert (
            place_of(given) if where == "ledger" else f"two views, which part between leaf 0 and leaf {size - 1}"
        ) in text
        tree = answer["result"]["tree"]["first_difference"]
        assert f"two views, which part between leaf 0 and leaf {size - 1}" in tree


def rewrite(given: Given) -> None:
    """Another actor of one event, in the log, and each checkpoint there signed again over what follows from it."""
    log, frontier = given.system.log._records, Frontier()
    headers = tuple((name, b"mallory" if name == "ce_actor" else value) for name, value in given.records[AT].headers)
    given.records = [*given.records[:AT], replace(given.records[AT], headers=headers), *given.records[AT + 1 :]]
    for record in given.checkpoints:
        data: Any = decode(record).data
        runs = [(TopicPartition(run.topic, run.partition), at) for run in data.runs for at in range(run.begin, run.end)]
        frontier = frontier.extended(leaf_hash(entry(log[place][at])) for place, at in runs)
        signed = resigned(given.system, data.size, frontier.root)
        data = data.model_copy(update={"root": b64encode(frontier.root).decode(), "note": signed})
        log[STATED][record.offset] = replace(record, value=payload_json(data))


async def rebuild(system: System) -> None:
    """The views of audit made anew from the log as it is now."""
    await system.stores["audit"].clear_views(LEDGER)
    consumer = system.consumer(LEDGER)
    for place in await system.log.bounds(consumer.topics):
        consumer.forget(place)
    with suppress(NotPublished):
        await system.settle()
    part = system.parts["audit"]
    part.periodic = [one for one in part.periodic if one.name != "audit.publishing"]  # it has said that it cannot
