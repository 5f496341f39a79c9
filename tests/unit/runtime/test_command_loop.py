"""A unit of work asks a stream once; what it decided itself it knows, and what it did not keep nobody knows."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from services.registry.domain import datasets
from shared.events.envelope import Event
from shared.events.registry import DatasetRegistered
from shared.log.memory import MemoryStore
from shared.log.store import Conflict
from shared.runtime.commands import CommandLoop, Context, new_id

SUBJECT = "dataset/d"


def context() -> Context:
    return Context("dan", datetime(2013, 4, 1, tzinfo=UTC), new_id())


def command(uri: str) -> datasets.RegisterDataset:
    return datasets.RegisterDataset(DatasetRegistered(dataset="d", version=0, uri=uri))


async def test_a_stream_is_read_once_and_what_follows_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore("registry", ())
    loop = CommandLoop("registry", store)
    async with store.begin() as unit:
        loads: list[str] = []
        load = unit.load

        async def counted(subject: str, after: int = 0) -> list[Event]:
            loads.append(subject)
            return await load(subject, after)

        monkeypatch.setattr(unit, "load", counted)
        await loop.state_in(unit, datasets, SUBJECT)
        assert loads == [SUBJECT]
        for place, uri in enumerate(("a", "b"), 1):
            await loop.handle_in(unit, datasets, SUBJECT, command(uri), context())
            loads.clear()  # appending in memory looks into the stream itself
            sequence, state = await loop.state_in(unit, datasets, SUBJECT)
            assert (sequence, state and state.uri) == (place, uri)
            assert loads == []


async def test_what_was_not_kept_is_not_remembered() -> None:
    store = MemoryStore("registry", ())
    loop = CommandLoop("registry", store)

    async def lost() -> None:
        async with store.begin() as unit:
            await loop.handle_in(unit, datasets, SUBJECT, command("a"), context())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await lost()
    async with store.begin() as unit:
        assert await loop.state_in(unit, datasets, SUBJECT) == (0, None)


async def test_what_a_unit_appends_by_itself_is_read_again() -> None:
    store = MemoryStore("registry", ())
    loop = CommandLoop("registry", store)
    async with store.begin() as unit:
        await loop.state_in(unit, datasets, SUBJECT)
        payload = DatasetRegistered(dataset="d", version=1, uri="x")
        at = context()
        events: Sequence[Event] = [Event(at.event_id, "/muniment/registry", SUBJECT, at.at, 1, "dan", payload)]
        await unit.append(SUBJECT, 0, events)
        assert (await loop.state_in(unit, datasets, SUBJECT))[0] == 1


async def test_who_read_before_another_wrote_is_told() -> None:
    store = MemoryStore("registry", ())
    mine, theirs = CommandLoop("registry", store), CommandLoop("registry", store)
    async with store.begin() as unit:
        await mine.state_in(unit, datasets, SUBJECT)
        async with store.begin() as other:
            await theirs.handle_in(other, datasets, SUBJECT, command("theirs"), context())
        with pytest.raises(Conflict):
            await mine.handle_in(unit, datasets, SUBJECT, command("mine"), context())


async def test_streams_that_were_read_ahead_are_not_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    store = MemoryStore("registry", ())
    loop = CommandLoop("registry", store)
    await loop.handle(datasets, SUBJECT, command("a"), context())
    async with store.begin() as unit:
        await loop.read_ahead(unit, {SUBJECT: datasets, "dataset/none": datasets})

        async def no_more(subject: str, after: int = 0) -> list[Event]:
            raise AssertionError(subject)

        monkeypatch.setattr(unit, "load", no_more)
        _, state = await loop.state_in(unit, datasets, SUBJECT)
        assert state is not None
        assert state.uri == "a"
        assert await loop.state_in(unit, datasets, "dataset/none") == (0, None)
