"""The relay: own events from the outbox to the log, in append order. One relay of a service works at a time.

A crash between publishing and remembering publishes again; consumers know streams by sequence and skip what they have.
"""

import asyncio
from collections.abc import Sequence

import structlog

from shared.log.log import EventLog, LogUnavailable
from shared.log.records import Outgoing
from shared.log.store import Store, StoreUnavailable

logger = structlog.get_logger()

BATCH = 500


class Relay:
    """Publishes one service's outbox topics. `problem` tells why it does not get on, if so."""

    def __init__(self, store: Store, log: EventLog, topics: Sequence[str], idle_seconds: float = 1.0) -> None:
        self.store, self.log, self.topics, self.idle_seconds = store, log, tuple(topics), idle_seconds
        self.problem: str | None = None

    async def run(self) -> None:
        while True:
            try:
                async with self.store.relaying():
                    await self._publish_forever()
            except (StoreUnavailable, LogUnavailable, OSError) as error:
                self._report(f"{error}")
            except Exception as error:  # such as a record over the log's limit: readiness tells, later events wait
                self._report(repr(error))
                logger.exception("relay failed")
            await asyncio.sleep(self.idle_seconds)

    async def once(self) -> int:
        """Publish what waits now; returns the number of events published."""
        published = 0
        for topic in self.topics:
            position = await self.store.relayed(topic)
            while records := await self.store.outbox(topic, position, BATCH):
                outgoing = [Outgoing(record.key, record.headers, record.value) for record in records]
                await self.log.publish(topic, outgoing)
                position = records[-1].offset + 1
                await self.store.set_relayed(topic, position)
                published += len(records)
        return published

    def _report(self, problem: str) -> None:
        self.problem = f"relay: {problem}"
        logger.warning("relay interrupted", problem=self.problem)

    async def _publish_forever(self) -> None:
        while True:
            published = await self.once()
            self.problem = None
            if not published:
                await self.store.wait_appended(self.idle_seconds)
