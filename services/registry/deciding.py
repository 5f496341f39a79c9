"""Many decisions on several streams in one unit of work: the streams are asked for at once, and each is appended to
once, however many facts come to it."""

from collections.abc import Mapping
from typing import Any

from shared.events.envelope import Event
from shared.log.store import UnitOfWork
from shared.runtime.commands import Context, Decider, event_of
from shared.runtime.service import Service


class Deciding:
    """What was decided is there for the next decision, and on the log once `append` has ended."""

    def __init__(self, service: Service, unit: UnitOfWork) -> None:
        self._service, self._unit = service, unit
        self._states: dict[str, tuple[int, Any]] = {}
        self._facts: dict[str, list[Event]] = {}

    async def read(self, deciders: Mapping[str, Decider[Any, Any]]) -> None:
        """Ask for these streams, by subject; only on them can be decided."""
        commands = self._service.commands
        await commands.read_ahead(self._unit, deciders)
        for subject, decider in deciders.items():
            self._states[subject] = await commands.state_in(self._unit, decider, subject)

    def state(self, subject: str) -> Any:
        """The state of a stream, with all that was decided here."""
        return self._states[subject][1]

    def decide(self, decider: Decider[Any, Any], subject: str, command: Any, context: Context) -> None:
        """Raises Refused."""
        sequence, state = self._states[subject]
        for place, payload in enumerate(decider.decide(state, command)):
            sequence += 1
            event = event_of(self._service.name, subject, sequence, place == 0, payload, context)
            state = decider.evolve(state, event)
            self._facts.setdefault(subject, []).append(event)
        self._states[subject] = (sequence, state)

    async def append(self) -> None:
        """Raises Conflict where somebody else wrote to one of the streams meanwhile."""
        for subject, events in sorted(self._facts.items()):
            await self._unit.append(subject, events[0].sequence - 1, events)
        self._facts.clear()
