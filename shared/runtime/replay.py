"""Dead letters applied again. The consumer reads by itself that their keys are free (`Consumer.run`)."""

import structlog

from shared.events.codec import decode
from shared.log.records import Record
from shared.runtime.consumer import Consumer, Received

logger = structlog.get_logger()


async def replay_dead_letters(consumer: Consumer, limit: int) -> tuple[int, int]:
    """Apply waiting dead letters again, oldest first; returns (applied, still waiting).

    A letter that fails again keeps its place, and every later letter of its key waits on.
    """
    async with consumer.store.begin() as unit:
        letters = await unit.dead_letters(consumer.name, limit)
    applied = 0
    blocked: set[tuple[str, str]] = set()
    for letter in letters:
        record = letter.record
        if (record.topic, record.key) in blocked:
            continue
        try:
            await _replay_one(consumer, record)
            applied += 1
        except Exception as error:
            blocked.add((record.topic, record.key))
            logger.warning("dead letter failed again", consumer=consumer.name, offset=record.offset, error=repr(error))
    return applied, len(letters) - applied


async def _replay_one(consumer: Consumer, record: Record) -> None:
    event = decode(record)
    async with consumer.store.begin() as unit:
        head = (await unit.heads(consumer.name, [event.subject])).get(event.subject, 0) if event.sequence else -1
        if event.sequence > head:
            await consumer.handle(unit, [Received(event, record)])
            if event.sequence:
                await unit.set_heads(consumer.name, {event.subject: event.sequence})
            if consumer.marks:
                await unit.mark_seen(consumer.name, [event.id])
        await unit.remove_dead_letter(consumer.name, record.place, record.offset)
