"""A rebuild by several processes side by side, on a real broker and PostgreSQL: the rows are those of one process."""

import asyncio
import os
import re
import sys
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest

from bench import replay
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER
from shared.events.catalog import TOPICS
from shared.runtime.settings import Settings
from shared.runtime.wiring import ports
from tests.component.test_wiring import with_database

pytestmark = pytest.mark.kafka

EVENTS = 3_000
TABLES = ("view_ledger", "view_edges", "view_prediction_ids")


async def rebuilt(environment: dict[str, str], processes: int) -> str:
    """What the command tells, once it has ended well."""
    command = (sys.executable, "-m", "services.audit", "rebuild", "--wait", "--processes", str(processes))
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.PIPE)
    async with asyncio.timeout(200):
        _, told = await process.communicate()
    assert process.returncode == 0, told.decode()
    return told.decode()


async def rows(dsn: str) -> list[tuple[int, str]]:
    """Number and digest of the rows of each view, in the order of their keys."""
    connection = await asyncpg.connect(dsn)
    try:
        found = []
        for table in TABLES:
            line = await connection.fetchrow(
                f"SELECT count(*), md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM audit.{table} t"
            )
            found.append((line[0], line[1]))
        return found
    finally:
        await connection.close()


async def test_several_processes_give_the_rows_of_one(kafka_address: str, postgres_dsn: str, tmp_path: Path) -> None:
    name = f"rebuild_{uuid4().hex[:12]}"
    connection = await asyncpg.connect(postgres_dsn)
    await connection.execute(f"CREATE DATABASE {name}")
    await connection.close()
    dsn = with_database(postgres_dsn, name)
    given = {"MUNIMENT_KAFKA": kafka_address, "MUNIMENT_POSTGRES": dsn, "MUNIMENT_DATA_DIR": str(tmp_path)}
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MUNIMENT_")} | given
    settings = Settings(kafka=kafka_address, postgres=dsn, data_dir=tmp_path)
    async with ports(DEFINITION, settings) as service:
        for topic, records in replay.portions(EVENTS):
            await service.log.publish(topic, records)
        ends = {place: bound.end for place, bound in (await service.log.bounds(TOPICS)).items()}
        told = [await rebuilt(environment, 1)]
        one = await rows(dsn)
        told.append(await rebuilt(environment, 2))
        assert await rows(dsn) == one
        offsets = await service.store.offsets()
        assert {place: offsets.get((LEDGER, place), 0) for place in ends} == ends
        assert (await service.store.waiting_dead_letters()).get(LEDGER, 0) == 0
    assert one[0][0] >= EVENTS
    for text in told:
        assert re.search(r"[\d,]+ of ([\d,]+) records \(100\.0 %\)", text), text
    connection = await asyncpg.connect(dsn)
    try:
        indexes = await connection.fetchval("SELECT count(*) FROM pg_indexes WHERE tablename = 'view_ledger'")
    finally:
        await connection.close()
    assert indexes == 1 + len(DEFINITION.tables[0].indexes), "they are there again"
