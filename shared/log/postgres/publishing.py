"""Publishing in groups: what waits while one statement is under way goes into the next, together."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from shared.log.log import LogUnavailable
from shared.log.postgres.connection import Pool, unavailable_as
from shared.log.postgres.ddl import quoted
from shared.log.postgres.reading import pack
from shared.log.postgres.values import clean
from shared.log.postgres.wakes import NOTIFY, channel
from shared.log.records import Outgoing

GROUP_BYTES = 8 * 2**20
GROUP_RECORDS = 5_000
"""Records published together in one statement, while the one before was under way."""


@dataclass(slots=True)
class _Waiting:
    records: Sequence[Outgoing]
    answer: "asyncio.Future[list[tuple[int, int]]]"


class Publisher:
    """Appends records to the tables of a log's schema, one statement at a time per topic."""

    def __init__(self, schema: str, pool: Callable[[], Pool]) -> None:
        self._schema, self._sql, self._pool = schema, quoted(schema), pool
        self._waiting: dict[str, list[_Waiting]] = defaultdict(list)
        self._writers: dict[str, asyncio.Task[None]] = {}

    async def publish(self, topic: str, records: Sequence[Outgoing]) -> list[tuple[int, int]]:
        """(partition, offset) of each record once it is kept. Raises LogUnavailable."""
        waiting = _Waiting(records, asyncio.get_running_loop().create_future())
        self._waiting[topic].append(waiting)
        if topic not in self._writers:
            self._writers[topic] = asyncio.create_task(self._write_all(topic))
        return await waiting.answer

    async def finish(self) -> None:
        """Wait until nothing is being published."""
        await asyncio.gather(*self._writers.values(), return_exceptions=True)

    async def _write_all(self, topic: str) -> None:
        """Write what waits, group by group, until nothing does."""
        try:
            while group := _next_group(self._waiting[topic]):
                await self._write_group(topic, group)
        finally:
            del self._writers[topic]

    async def _write_group(self, topic: str, group: list[_Waiting]) -> None:
        try:
            with unavailable_as(LogUnavailable):
                offset = await self._insert(topic, [record for waiting in group for record in waiting.records])
        except Exception as error:
            if len(group) > 1 and not isinstance(error, LogUnavailable):
                for waiting in group:  # one of them cannot be kept; the others can
                    await self._write_group(topic, [waiting])
                return
            for waiting in group:
                if not waiting.answer.done():
                    waiting.answer.set_exception(error)
            return
        for waiting in group:
            if not waiting.answer.done():
                waiting.answer.set_result([(0, offset + place) for place in range(len(waiting.records))])
            offset += len(waiting.records)

    async def _insert(self, topic: str, records: Sequence[Outgoing]) -> int:
        """Write records behind the topic's last, in one statement; returns the first offset."""
        async with self._pool().acquire() as connection:
            # Who holds the row of `heads` is alone in taking offsets, until it commits.
            rows = await connection.fetch(
                f"""
WITH head AS (
    INSERT INTO {self._sql}.heads AS h VALUES ($1, $2, clock_timestamp())
    ON CONFLICT (topic) DO UPDATE SET next_offset = h.next_offset + $2,
        recorded = greatest(h.recorded, clock_timestamp())
    RETURNING next_offset - $2 AS first, recorded)
INSERT INTO {self._sql}.records (topic, "offset", key, headers, value, recorded)
SELECT $1, head.first + r.place - 1, r.key, r.headers, r.value, head.recorded
FROM head, unnest($3::text[], $4::bytea[], $5::bytea[]) WITH ORDINALITY AS r (key, headers, value, place)
RETURNING "offset" """,
                topic,
                len(records),
                [clean(record.key) for record in records],
                [pack(record.headers) for record in records],
                [record.value for record in records],
            )
            with suppress(Exception):  # it has committed; who is not woken looks for itself
                await connection.execute(NOTIFY, [channel(self._schema, "appended")], [topic])
        return min(row[0] for row in rows)


def _next_group(waiting: list[_Waiting]) -> list[_Waiting]:
    group: list[_Waiting] = []
    records = size = 0
    while waiting and (not group or (records < GROUP_RECORDS and size < GROUP_BYTES)):
        group.append(waiting.pop(0))
        records += len(group[-1].records)
        size += sum(len(record.value) for record in group[-1].records)
    return group
