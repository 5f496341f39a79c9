"""Dead letters applied again. The consumer reads by itself that their keys are free (`Consumer.run`)."""

import structlog

from shared.events.codec import Undecodable
from shared.log.records import Record
from shared.runtime.consumer import Consumer
from shared.runtime.received import Received, open_record

logger = structlog.get_logger()


class StillEarly(Exception):
    """An event before this one in its stream is still missing."""


async def replay_dead_letters(consumer: Consumer, limit: int) -> tuple[int, int]:
    """Apply waiting dead letters again, oldest first; returns (applied, still waiting).

    A letter that fails again keeps its place, and every later letter of its key waits on.
    """
    async with consumer.store.begin() as unit:
        letters = await unit.dead_letters(consumer.name, limit)
    waiting = [letter.record for letter in letters]
    while waiting:
        left = await _round(consumer, waiting)
        if len(left) == len(waiting):
            break
        waiting = left
    return len(letters) - len(waiting), len(waiting)


async def _round(consumer: Consumer, records: list[Record]) -> list[Record]:
    """Try each once; returns those that still wait. Behind a failure its key waits, but not behind a gap: what closes
    that lies further back."""
    left: list[Record] = []
    blocked: set[tuple[str, str]] = set()
    for record in records:
        name = (record.topic, record.key)
        if name not in blocked:
            try:
                await _replay_one(consumer, record)
                continue
            except Exception as error:
                if not isinstance(error, StillEarly):
                    blocked.add(name)
                reason = repr(error)
                logger.warning("dead letter failed again", consumer=consumer.name, offset=record.offset, error=reason)
        left.append(record)
    return left


async def _replay_one(consumer: Consumer, record: Record) -> None:
    opened = open_record(record, types=consumer.types)
    if isinstance(opened, str):
        raise Undecodable(opened)
    async with consumer.store.begin() as unit:
        if isinstance(opened, Received) and (gaps := await consumer.take_in(unit, [opened])):
            raise StillEarly(gaps[0][1])
        await unit.remove_dead_letter(consumer.name, record.place, record.offset)
