"""Checks of the views end on record, by hand and by schedule, and show in answers and reports."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from services.audit.service import DEFINITION as AUDIT
from services.registry.service import DEFINITION
from shared.events.every import ViewsVerified
from shared.log.memory import MemoryStore
from shared.log.store import InUse, Store
from shared.log.tables import Put
from shared.runtime.checking import Checks, Outcome, check_views, record
from shared.runtime.checking.recording import SCHEDULE, subject_of
from shared.runtime.running import Running
from tests.support import System, running


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION, AUDIT, check_pause_seconds=0.0, views_check_seconds=3600.0) as system:
        goal = {"name": "warn", "question": "late?"}
        assert (await system.client.post("/v1/goals", json=goal)).status_code == 201
        await system.settle()
        yield system


@asynccontextmanager
async def scratch() -> AsyncIterator[Store]:
    yield MemoryStore("registry_check", DEFINITION.tables)


def checks(system: System, opened: Any = scratch) -> Checks:
    return Checks(DEFINITION, system.services["registry"], opened)


async def on_record(system: System) -> list[dict[str, Any]]:
    await system.settle()
    answer = await system.client.get("/v1/events", params={"type": "ViewsVerified"})
    return answer.json()["items"]


async def break_a_view(system: System) -> None:
    async with system.stores["registry"].begin() as unit:
        await unit.apply([Put("goals", {"name": "warn", "question": "is it late?"})])


async def test_a_check_is_an_event_of_the_service_and_the_next_one_is_equal_still(system: System) -> None:
    for place in (1, 2):
        async with scratch() as store:
            outcome = await check_views(DEFINITION, system.services["registry"], store)
        event = await record(system.services["registry"], outcome, "ann")
        assert isinstance(event.data, ViewsVerified)
        assert (event.data.outcome, event.data.differing, event.sequence) == ("equal", 0, place)
        assert event.data.digest_live == event.data.digest_replayed != ""
        found = await on_record(system)
        assert [(one["actor"], one["subject"], one["ledger"]["topic"]) for one in found] == [
            ("ann", "views/registry", "muniment.registry")
        ] * place


async def test_a_check_runs_when_it_is_due_and_not_before(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(3):
        await checks(system).run()
    (first,) = await on_record(system)
    assert (first["actor"], first["data"]["outcome"]) == (SCHEDULE, "equal")
    from shared.runtime.checking import recording

    present = recording.now
    monkeypatch.setattr(recording, "now", lambda: present() + timedelta(seconds=3601))
    await break_a_view(system)
    await checks(system).run()
    assert [one["data"]["outcome"] for one in await on_record(system)] == ["equal", "different"]
    assert "is it late?" in (await on_record(system))[1]["data"]["first_difference"]


async def test_of_two_workers_one_checks(system: System) -> None:
    @asynccontextmanager
    async def in_use() -> AsyncIterator[Store]:
        raise InUse("the views of registry are being checked already")
        yield

    await checks(system, in_use).run()
    assert await on_record(system) == []

    @asynccontextmanager
    async def meanwhile() -> AsyncIterator[Store]:
        await checks(system).run()  # the other one, which was in before
        async with scratch() as store:
            yield store

    await checks(system, meanwhile).run()
    assert len(await on_record(system)) == 1


async def test_what_cannot_be_told_is_on_record_as_that(system: System) -> None:
    outcome = Outcome("registry", reason="the log no longer begins at zero" + "!" * 5_000)
    event = await record(system.services["registry"], outcome, "ann")
    (found,) = await on_record(system)
    assert (found["id"], found["data"]["outcome"]) == (event.id, "could not tell")
    assert len(found["data"]["reason"]) == 2_000


async def test_a_worker_has_the_job_only_where_a_schedule_says_so_and_an_api_never() -> None:
    for seconds, works, expected in ((0.0, True, False), (60.0, True, True), (60.0, False, False)):
        async with running(DEFINITION, views_check_seconds=seconds) as system:
            part = Running(DEFINITION, system.services["registry"], works=works, scratch=scratch)
            assert any(one.name == "registry.views" for one in part.periodic) is expected
    assert subject_of("registry") == "views/registry"


async def test_the_report_names_the_last_check_and_every_difference(system: System) -> None:
    model = {"name": "flights", "owner": "ana"}
    assert (await system.client.post("/v1/models", json=model)).status_code == 201
    await system.settle()
    await break_a_view(system)
    await checks(system).run()
    await system.settle()
    report = (await system.client.get("/v1/reports/flights", params={"format": "html"})).text
    assert "The views of registry differed from a replay of the log" in report
    assert "The views of registry were last compared" in report
