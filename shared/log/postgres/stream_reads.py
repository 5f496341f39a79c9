"""Reading streams for many at once: what units of work ask for while a statement is under way goes into the next,
together. Who asks sees at least what was committed when it asked."""

import asyncio
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from shared.log.postgres.connection import Pool, close_pool, unavailable_as
from shared.log.postgres.streams import rows_behind
from shared.log.postgres.values import clean
from shared.log.store import StoreUnavailable

AT_ONCE = 2
"""Statements under way: with one alone, a long stream would keep all others waiting."""
STREAMS_TOGETHER = 1_000
"""Streams asked for in one statement; all those of a unit of work, however many."""

_Rows = list[Any]


@dataclass(slots=True, eq=False)
class _Asked:
    after: Mapping[str, int]
    rows: "asyncio.Future[_Rows]"

    def answer(self, rows: _Rows) -> None:
        if not self.rows.done():  # who asked may have gone
            self.rows.set_result(rows)

    def fail(self, error: Exception) -> None:
        if not self.rows.done():
            self.rows.set_exception(error)


class StreamReads:
    """Reads the streams of one schema, on connections of its own: a unit that waits may hold one of the others."""

    def __init__(self, schema: str, pool: Pool) -> None:
        self._schema, self._pool = schema, pool
        self._waiting: list[_Asked] = []
        self._readers: set[asyncio.Task[None]] = set()

    async def rows(self, after: Mapping[str, int]) -> _Rows:
        """The rows of each stream behind the sequence named for it, in the order of stream and sequence. Raises
        StoreUnavailable."""
        asked = _Asked(
            {clean(subject): sequence for subject, sequence in after.items()},
            asyncio.get_running_loop().create_future(),
        )
        self._waiting.append(asked)
        if len(self._readers) < AT_ONCE:
            self._readers.add(asyncio.create_task(self._read_all()))
        return await asked.rows

    async def close(self) -> None:
        """Answer who waits, and leave."""
        await asyncio.gather(*self._readers, return_exceptions=True)
        await close_pool(self._pool)

    async def _read_all(self) -> None:
        try:
            while group := self._next_group():
                await self._read(group)
        finally:
            self._readers.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    def _next_group(self) -> list[_Asked]:
        group: list[_Asked] = []
        streams = 0
        for asked in self._waiting:
            streams += len(asked.after)
            if group and streams > STREAMS_TOGETHER:
                break
            group.append(asked)
        del self._waiting[: len(group)]
        return group

    async def _read(self, group: list[_Asked]) -> None:
        together: dict[str, int] = {}
        for asked in group:
            for subject, after in asked.after.items():
                together[subject] = min(after, together.get(subject, after))
        try:
            with unavailable_as(StoreUnavailable):
                found = await rows_behind(self._pool, self._schema, together)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, StoreUnavailable):
                for asked in group:  # one of them has asked for what cannot be; the others have not
                    await self._read([asked])
                return
            for asked in group:
                asked.fail(error)
            return
        of = defaultdict[str, _Rows](list)
        for row in found:
            of[row["key"]].append(row)
        for asked in group:
            asked.answer(_own(asked.after, of))


def _own(after: Mapping[str, int], of: Mapping[str, _Rows]) -> _Rows:
    return [row for key in sorted(after) for row in of.get(key, ()) if row["sequence"] > after[key]]
