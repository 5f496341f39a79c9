"""kill -9 of a worker at each step from the ledger to a cold part, on PostgreSQL: every entry stays, once."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from services.audit.domain.merkle import leaf_hash
from services.audit.parts.place import Place
from services.audit.parts.store import with_parts
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER, archiving
from services.audit.worker.archiving import Archiver
from services.audit.worker.sequencing import Sequencer
from services.audit.worker.signing import Signing
from shared.events.codec import encode
from shared.events.registry import GoalStated
from shared.log.postgres_log import PostgresLog
from shared.log.postgres_store import PostgresStore
from shared.log.tables import Query
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.service import Service
from shared.runtime.settings import Settings
from tests.postgres_fixture import PostgresMaker
from tests.support import drain
from tests.unit.audit.facts import event

EVENTS, LEAVES = 400, 256
OWN = "muniment.audit"


def service_of(store: PostgresStore, log: PostgresLog, folder: Path) -> Service:
    settings = Settings(data_dir=folder, ledger_hot_leaves=50, ledger_part_leaves=LEAVES)
    return Service("audit", settings, store, log, MemoryLive(), CommandLoop("audit", store))


async def settle(service: Service) -> None:
    (consumer,) = DEFINITION.consumers(service)
    await drain(consumer, service.settings)


async def work(service: Service) -> None:
    """As the worker does: archive, take in what that stated, drop."""
    archiving.DROPPED_AT_ONCE = 100
    for _ in range(2):
        await Archiver(with_parts(service), LEDGER).run()
        await settle(service)
    await Archiver(with_parts(service), LEDGER).run()


async def die(dsn: str, schema: str, log_schema: str, folder: Path, step: str) -> None:
    """The same in a process of its own, which kills itself right after a step."""
    store, log = PostgresStore(dsn, schema, DEFINITION.tables), PostgresLog(dsn, {OWN: schema}, log_schema)
    await store.setup()
    await log.setup()
    owner, name, times = STEPS[step]
    call, left = getattr(owner, name), [times]

    def counted() -> None:
        left[0] -= 1
        if not left[0]:
            os.kill(os.getpid(), signal.SIGKILL)

    async def dying(*arguments: Any, **named: Any) -> Any:
        result = await call(*arguments, **named)
        counted()
        return result

    def dying_at_once(*arguments: Any, **named: Any) -> None:
        call(*arguments, **named)
        counted()

    setattr(owner, name, dying_at_once if name == "put" else dying)
    await work(service_of(store, log, folder))


STEPS: dict[str, tuple[Any, str, int]] = {
    "written": (Place, "put", 1),
    "read back": (Archiver, "_read_back", 1),
    "about to state": (CommandLoop, "handle_in", 1),
    "stated": (Archiver, "_archive", 1),
    "dropped in part": (Archiver, "_drop", 2),
}


@pytest.mark.parametrize("step", STEPS)
async def test_a_worker_killed_at_any_step(postgres: PostgresMaker, tmp_path: Path, step: str) -> None:
    store, log = await postgres.store(DEFINITION.tables, "audit"), await postgres.log({OWN: "audit"})
    goals = [GoalStated(goal=f"g{number}", question="?", owner="ana") for number in range(EVENTS)]
    said = [event(number, goal, f"goal/{goal.goal}", 1, happened=1) for number, goal in enumerate(goals, 1)]
    await log.publish("muniment.registry", [encode(one) for one in said])
    service = service_of(store, log, tmp_path)
    await settle(service)
    await Sequencer(service, LEDGER, Signing(service)).run()
    await settle(service)
    before = await entries(service)
    code = (
        "import asyncio; from pathlib import Path; from tests.component.test_audit_parts_killed import die; "
        f"asyncio.run(die({postgres.dsn!r}, {postgres.schema('audit')!r}, {postgres.schema('log')!r}, "
        f"Path({str(tmp_path)!r}), {step!r}))"
    )
    killed = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=200)  # noqa: ASYNC221
    assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
    assert (await entries(service)).items() >= before.items(), "while it is dead, too"
    await settle(service)
    await work(service)
    assert (await entries(service)).items() >= before.items()
    (part,) = await store.find(Query("ledger_parts"))
    assert (part["first"], part["end"], part["dropped"]) == (0, LEAVES, LEAVES)
    rows = await store.find(Query("ledger", limit=2 * EVENTS))
    assert sorted(row["cold"] for row in rows if row["entry"] is None) == list(range(LEAVES))
    assert [row["sequence"] for row in rows if row["type"] == "LedgerPartArchived"] == [1]
    assert [path.name for path in (tmp_path / "ledger").iterdir() if path.suffix == ".parquet"] == [part["file"]]


async def entries(service: Service) -> dict[str, str]:
    """Every entry that a reader gets, by event; each gives the leaf hash of its row."""
    rows = await with_parts(service).store.find(Query("ledger", limit=2 * EVENTS))
    assert all(leaf_hash(row["entry"].encode()) == row["leaf"] for row in rows)
    return {row["event_id"]: row["entry"] for row in rows}
