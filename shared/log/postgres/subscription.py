"""Reading topics in turn, woken by NOTIFY."""

from collections.abc import Awaitable, Callable
from time import monotonic

from shared.log.postgres.reading import MAX_BYTES
from shared.log.postgres.wakes import Wakes
from shared.log.records import Record, TopicPartition

LOOK_SECONDS = 1.0
"""How often a subscription looks for itself, should a wake have been lost."""

Read = Callable[[TopicPartition, int, int], Awaitable[list[Record]]]


class PostgresSubscription:
    """Reads its topics in turn; one that was read to its end rests until it rings or LOOK_SECONDS have passed."""

    def __init__(
        self, read: Read, rung: Callable[[str], int], wakes: Wakes, offsets: dict[TopicPartition, int]
    ) -> None:
        self._read, self._rung, self._wakes, self._offsets = read, rung, wakes, offsets
        self._rest: dict[TopicPartition, tuple[int, float]] = {}

    async def poll(self, max_records: int, timeout: float) -> dict[TopicPartition, list[Record]]:
        end = monotonic() + timeout
        while True:
            found = await self._take(max_records)
            left = end - monotonic()
            if found or left <= 0:
                return found
            await self._wakes.until(lambda: any(map(self._due, self._offsets)), min(left, LOOK_SECONDS))

    def seek(self, place: TopicPartition, offset: int) -> None:
        self._offsets[place] = offset
        self._rest.pop(place, None)

    def assignment(self) -> set[TopicPartition]:
        return set(self._offsets)

    def _due(self, place: TopicPartition) -> bool:
        rung, looked = self._rest.get(place, (-1, 0.0))
        return rung != self._rung(place.topic) or monotonic() - looked >= LOOK_SECONDS

    async def _take(self, room: int) -> dict[TopicPartition, list[Record]]:
        found: dict[TopicPartition, list[Record]] = {}
        for place in [place for place in self._offsets if self._due(place)]:
            rung = self._rung(place.topic)
            records = await self._read(place, self._offsets[place], room)
            if len(records) < room and sum(len(record.value) for record in records) < MAX_BYTES:
                self._rest[place] = (rung, monotonic())  # read to its end: nothing was left for want of room
            if not records:
                continue
            found[place] = records
            self._offsets[place] = self._offsets.pop(place) + len(records)  # read the others first next time
            room -= len(records)
            if room <= 0:
                break
        return found
