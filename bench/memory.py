"""Memory of each of the ten processes on Kafka while the year of flights is played: its peak, and whether it grows."""

import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic

import numpy as np
import psutil
from rich.console import Console

from bench.line import Line
from bench.stack import Stack
from muniment.client import Client
from muniment.demo import data
from muniment.demo.run import progress_display, scene_of
from muniment.demo.settings import SETTINGS
from muniment.demo.story import tell, waiting
from muniment.demo.story.cast import WHOLE
from muniment.demo.train import train
from tests.e2e.apart import Apart, Name

MIB = 2**20
MOST = 400 * MIB
FLAT_MIB_PER_MINUTE = 20.0
"""What may be called flat: an hour of it would still fit into the memory of the machines meant, and caches fill."""

SECONDS = 0.5
PATIENCE_SECONDS = 120.0
WAIT_SECONDS = 1_200.0
"""How long the story may wait for the views: on a busy machine figures come late, and memory is what counts here."""


@dataclass(slots=True)
class Samples:
    """Resident memory of one process: seconds and bytes."""

    at: list[float] = field(default_factory=list[float])
    sizes: list[int] = field(default_factory=list[int])

    def take(self, at: float, size: int) -> None:
        self.at.append(at)
        self.sizes.append(size)

    @property
    def peak(self) -> int:
        return max(self.sizes)

    @property
    def slope(self) -> float:
        """Bytes per second over the second half of the story, by least squares."""
        half = len(self.at) // 2
        return float(np.polyfit(self.at[half:], self.sizes[half:], 1)[0])


async def measure(stack: Stack) -> list[Line]:
    settings = stack.settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUNIMENT_")}
    environment |= SETTINGS | {"MUNIMENT_KAFKA": settings.kafka, "MUNIMENT_POSTGRES": settings.postgres}
    system = Apart(stack.folder, environment | {"MUNIMENT_REDIS": settings.redis})
    stack.closing.callback(system.stop)
    await asyncio.to_thread(system.start)
    roots = {name: psutil.Process(process.pid) for name, process in system.processes.items()}
    samples: dict[Name, Samples] = {}
    playing = asyncio.create_task(asyncio.to_thread(_play, system, stack))
    started = monotonic()
    while not playing.done():
        for name, size in _sizes(roots):
            samples.setdefault(name, Samples()).take(monotonic() - started, size)
        await asyncio.sleep(SECONDS)
    lines = [_line(name, one) for name, one in sorted(samples.items())]
    if playing.exception() is not None or playing.result():  # what was seen is worth telling all the same
        print(*lines, sep="\n", flush=True)
    wrong = await playing
    assert not wrong, f"figures of the story that do not hold: {wrong}"
    return lines


def _play(system: Apart, stack: Stack) -> list[str]:
    """The figures that do not hold; none should be there."""
    waiting.SECONDS = WAIT_SECONDS
    flights = data.flights()
    models = stack.folder / "models"
    models.mkdir()
    trained = train(flights, models)
    with (
        Client(system.urls, patience=PATIENCE_SECONDS) as client,
        progress_display(Console(quiet=True)) as progress,
    ):
        scene = scene_of(client, flights, trained, WHOLE, progress)
        tell(scene)
    return [f"{line.name}: {line.figure} instead of {line.expected}" for line in scene.lines if not line.holds]


def _line(name: Name, samples: Samples) -> Line:
    growth = samples.slope * 60 / MIB
    flat = "flat" if growth <= FLAT_MIB_PER_MINUTE else "GROWS"
    seconds = samples.at[-1]
    figures = f"peak {samples.peak / MIB:.0f} MiB, {growth:+.1f} MiB a minute at last ({flat}), {seconds:.0f} s"
    return Line(f"memory, {' '.join(name)}", MOST / samples.peak, "400 MiB", 1, figures)


def _sizes(roots: dict[Name, psutil.Process]) -> Iterator[tuple[Name, int]]:
    """The resident memory of each process, and of what it started, as processes of their own."""
    for (service, role), process in roots.items():
        yield (service, role), process.memory_info().rss
        for number, child in enumerate(process.children(recursive=True), 1):
            with suppress(psutil.NoSuchProcess):
                yield (service, f"{role}, child {number}"), child.memory_info().rss
