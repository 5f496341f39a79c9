"""Every process is killed once while the story is told, at the moment of a request, and the story goes on meanwhile.

Where the story stands decides when who is killed, not the clock: after every day one process is to die, as soon as a
next request is on its way; before the following one the story waits until the killed process is ready again.
"""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from tests.e2e.apart import Apart, Name

SECONDS = 120.0
ASKED_DAILY = {("deployer", "api"), ("monitor", "api")}
"""Those that the story asks something every day: they are killed while they answer."""


@dataclass(slots=True)
class Killing:
    """`left`: who is still to be killed, in this order; `killed`: who was."""

    processes: Apart
    left: list[Name]
    killed: list[Name] = field(default_factory=list[Name])
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "killing"))
    _victim: Name | None = None
    _asked: threading.Event = field(default_factory=threading.Event)
    _under_way: "Future[None] | None" = None

    def next(self) -> None:
        """Let the next one die. Raises what kept the last one from coming back."""
        self.recovered()
        if self.left:
            self._asked.clear()
            self._victim = self.left.pop(0)
            self._under_way = self._pool.submit(self._kill, self._victim)

    def recovered(self) -> None:
        """Wait until the last one is ready again. Raises what kept it from that."""
        under_way, self._under_way = self._under_way, None
        if under_way is not None:
            under_way.result()

    def requested(self, request: httpx.Request) -> None:
        """A request of the story is about to be sent."""
        victim = self._victim
        if victim is not None and (victim not in ASKED_DAILY or request.url.port == self.processes.ports[victim]):
            self._asked.set()

    def close(self) -> None:
        self._asked.set()
        self._pool.shutdown()

    def _kill(self, victim: Name) -> None:
        if not self._asked.wait(SECONDS):
            raise AssertionError(f"nothing was asked in {SECONDS:.0f} s, so {victim} was not killed")
        self._victim = None
        self.processes.kill(victim)
        self.killed.append(victim)
        self.processes.until_ready(victim)


@contextmanager
def killing(processes: Apart, order: Sequence[Name]) -> Iterator[Killing]:
    """A `Killing` of these processes, over when the block ends."""
    one = Killing(processes, list(order))
    try:
        yield one
    finally:
        one.close()
