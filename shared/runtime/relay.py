"""The relay: own events from the outbox to the log, in append order. One relay of a service works at a time.

A crash between publishing and remembering publishes again; consumers know streams by sequence and skip what they have.
"""

import asyncio
from collections.abc import Sequence
from time import monotonic

import structlog

from shared.log.log import EventLog, LogUnavailable
from shared.log.records import Outgoing
from shared.log.store import Store, StoreUnavailable

logger = structlog.get_logger()

BATCH = 500


class Relay:
    """Publishes one service's outbox topics. `problem` tells why it does not get on, if so."""

    def __init__(
        self,
        store: Store,
        log: EventLog,
        topics: Sequence[str],
        idle_seconds: float = 1.0,
        gather_seconds: float = 0.0,
    ) -> None:
        """`gather_seconds`: between two publications, so that many small writes share one; the first after a rest
        goes out at once."""
        self.store, self.log, self.topics = store, log, tuple(topics)
        self.idle_seconds, self.gather_seconds = idle_seconds, gather_seconds
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
        return await self._publish({topic: await self.store.relayed(topic) for topic in self.topics})

    async def _publish(self, positions: dict[str, int]) -> int:
        """Publish what stands behind these positions, and move them; what is appended meanwhile may be left."""
        published = 0
        for topic in self.topics:
            full = True
            while full and (records := await self.store.outbox(topic, positions[topic], BATCH)):
                outgoing = [Outgoing(record.key, record.headers, record.value) for record in records]
                await self.log.publish(topic, outgoing)
                positions[topic] = records[-1].offset + 1
                await self.store.set_relayed(topic, positions[topic])
                published += len(records)
                full = len(records) == BATCH
        return published

    def _report(self, problem: str) -> None:
        self.problem = f"relay: {problem}"
        logger.warning("relay interrupted", problem=self.problem)

    async def _publish_forever(self) -> None:
        positions = {topic: await self.store.relayed(topic) for topic in self.topics}
        while True:
            start = monotonic()
            published = await self._publish(positions)
            self.problem = None
            if not published:
                await self.store.wait_appended(self.idle_seconds)
            elif published < BATCH:
                await asyncio.sleep(start + self.gather_seconds - monotonic())
