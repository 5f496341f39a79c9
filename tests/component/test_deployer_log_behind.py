"""Answers are logged behind their backs: at most so many at a time, each in the end, and counted where a process is
killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from services.deployer.losses import Losses
from services.deployer.service import DEFINITION
from services.deployer.serving.tally import Tally
from shared.log.log import LogUnavailable
from shared.runtime.predictions import Target
from tests.component.deployer_given import deploy, flights, logged, registered
from tests.support import System, running

INFER = "/v2/models/late/infer"


class Broker:
    """Stands between a system and its log."""

    def __init__(self, system: System, monkeypatch: pytest.MonkeyPatch) -> None:
        self.away, self.refuses, self._publish = False, False, system.log.publish
        monkeypatch.setattr(system.log, "publish", self.publish)

    async def publish(self, topic: str, records: Any) -> Any:
        if self.away:
            raise LogUnavailable("no broker")
        if self.refuses:
            raise ValueError("no such record")
        return await self._publish(topic, records)


@asynccontextmanager
async def serving(tmp_path: Path, **settings: Any) -> AsyncIterator[System]:
    async with running(DEFINITION, **settings) as system:
        await registered(system, tmp_path, 1)
        await deploy(system)
        yield system


def of(rows: int) -> dict[str, Any]:
    return flights(*[(1.0, float(row)) for row in range(rows)])


@pytest.mark.parametrize("rows", [1, 3])
async def test_in_the_mode_that_waits_nothing_is_answered_that_the_log_did_not_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    async with serving(tmp_path, answers_wait_for_log=True) as system:
        Broker(system, monkeypatch).away = True
        answer = await system.client.post(INFER, json=of(rows))
        assert (answer.status_code, "outputs" in answer.json()) == (503, False)
        assert answer.json()["type"] == "urn:muniment:problem:log-unavailable"


@pytest.mark.parametrize("rows", [1, 2])
async def test_a_log_that_is_away_refuses_only_what_would_be_too_much_and_gets_all_when_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    async with serving(tmp_path, answers_max_unlogged=4, answers_full_seconds=0.01) as system:
        broker = Broker(system, monkeypatch)
        broker.away = True
        answers = [await system.client.post(INFER, json=of(rows)) for _ in range(4 // rows + 1)]
        assert [one.status_code for one in answers] == [200] * (4 // rows) + [503]
        assert answers[-1].json()["type"] == "urn:muniment:problem:log-unavailable"
        broker.away = False
        told = [one for answer in answers[:-1] for one in answer.json()["parameters"]["prediction_ids"]]
        found = await logged(system)
        assert sorted(f"{event.id}-{row}" for event, batch in found for row in range(batch.num_rows)) == sorted(told)
        assert (await system.client.post(INFER, json=of(rows))).status_code == 200


async def test_an_answer_waits_for_room_rather_than_being_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(tmp_path, answers_max_unlogged=1, answers_full_seconds=60.0) as system:
        broker = Broker(system, monkeypatch)
        broker.away = True
        assert (await system.client.post(INFER, json=of(1))).status_code == 200
        waiting = asyncio.create_task(system.client.post(INFER, json=of(1)))
        await asyncio.sleep(0)
        broker.away = False
        assert (await waiting).status_code == 200
        assert sum(batch.num_rows for _, batch in await logged(system)) == 2


async def test_an_end_writes_what_waits_and_leaves_nothing_to_count(tmp_path: Path) -> None:
    async with serving(tmp_path, answers_seconds=3_600.0, data_dir=tmp_path / "data") as system:
        assert (await system.client.post(INFER, json=of(1))).status_code == 200
        (left,) = (tmp_path / "data" / "answers").iterdir()
        for close in system.services["deployer"].on_close:
            await close()
        assert sum(batch.num_rows for _, batch in await logged(system)) == 1
        assert not left.exists()


async def test_two_rows_with_one_id_of_their_own_are_in_two_batches(tmp_path: Path) -> None:
    async with serving(tmp_path, answers_seconds=3_600.0) as system:
        for _ in range(2):
            assert (await system.client.post(INFER, json=flights((1.0, 2.0), id="flight-1"))).status_code == 200
        found = await logged(system)
        assert [batch.column("prediction_id").to_pylist() for _, batch in found] == [["flight-1"]] * 2


async def test_what_a_killed_process_did_not_log_is_on_record_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    killed = Tally(data)
    cell = killed.cell(Target("late", "late-flights", 1))
    assert cell is not None
    killed.answered(cell, 7)
    killed.logged(cell, 4)
    killed.close()
    (left,) = (data / "answers").iterdir()
    kept = left.read_bytes()
    async with serving(tmp_path, data_dir=data) as system:
        losses = Losses(system.services["deployer"])
        await losses.look()
        assert not left.exists()
        left.write_bytes(kept)  # as if it had been killed, too, between the word and the removal
        await losses.look()
        await system.settle()
        (lost,) = (await system.client.get("/v1/deployments/late")).json()["lost"]
        assert (lost["version"], lost["rows"], lost["reason"]) == (1, 3, "ended")


@pytest.mark.parametrize("rows", [1, 2])
async def test_what_the_log_refuses_for_good_is_counted_at_once_and_on_record_at_the_next_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    data = tmp_path / "data"
    async with serving(tmp_path, data_dir=data) as system:
        broker, deployer = Broker(system, monkeypatch), system.services["deployer"]
        broker.refuses = True
        assert (await system.client.post(INFER, json=of(rows))).status_code == 200
        for flush in deployer.flushes:
            await flush()
        broker.refuses = False
        await system.settle()
        assert (await system.client.get("/v1/deployments/late")).json()["refused"] == [{"version": 1, "rows": rows}]
        figure = f'muniment_answers_refused_total{{deployment="late",version="1"}} {float(rows)}'
        assert figure in (await system.client.get("/metrics")).text
        for close in deployer.on_close:
            await close()
        await Losses(deployer).look()
        await system.settle()
        (lost,) = (await system.client.get("/v1/deployments/late")).json()["lost"]
        assert (lost["version"], lost["rows"], lost["reason"]) == (1, rows, "refused")
        assert list((data / "answers").iterdir()) == []
