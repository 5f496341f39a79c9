"""Audit's views rebuilt from zero, by one process and by one a core, beside raw aiokafka and `eventsourcing`.

The peer keeps the same data in streams of the same length, on the same server, in a virtual environment of its own. Its
rate is told twice: of only reading its events back, and of putting each into a view with tracking, as its projections
do. Memory is that of the processes that fold; what it grows by per event says what ten million would need.
"""

import asyncio
import json
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass, field
from time import monotonic
from urllib.parse import urlsplit

import numpy as np
import psutil

from bench import replay
from bench.consuming import raw, timed
from bench.fold import FILES
from bench.line import Line
from bench.peer import INSTALL_SECONDS, NotHad, installed
from bench.stack import Stack
from services.audit.service import DEFINITION
from services.audit.worker import LEDGER
from shared.events.catalog import CONTROL_TOPICS
from shared.runtime.progress import Told
from shared.runtime.rebuilding import rebuild, refill
from shared.runtime.service import Service
from shared.runtime.wiring import ports

EVENTS = int(os.environ.get("BENCH_REBUILD_EVENTS", "100000"))
ALONE = 300_000
"""Up to how many events one process rebuilds them, too."""
PEER_EVENTS = 20_000
PEER_SECONDS = 20.0
PEER = ["eventsourcing[postgres]==9.5.6", "psycopg[binary]"]
RAW_LEAST, PEER_LEAST = 0.3, 3
MANY = 10_000_000
TELLING = 1_000_000
"""From how many events on what memory grows by tells something about ten million."""
MIB = 2**20
MOST = 400 * MIB
SAMPLE_SECONDS = 0.25


@dataclass(slots=True)
class Watched:
    """A rebuild by several processes as it went: seconds, records, and the memory of the largest process."""

    at: list[float] = field(default_factory=list[float])
    done: list[int] = field(default_factory=list[int])
    sizes: list[tuple[float, int]] = field(default_factory=list[tuple[float, int]])
    cpu: dict[int, float] = field(default_factory=dict[int, float])
    ended: float = 0.0

    def tell(self, told: Told) -> None:
        self.at.append(monotonic())
        self.done.append(told.records)

    @property
    def rate(self) -> float:
        """Records a second, from the last look at which none was applied until the indexes are there again."""
        first = next(place for place, done in enumerate(self.done) if done)
        return self.done[-1] / (self.ended - self.at[max(0, first - 1)])

    @property
    def growth(self) -> float:
        """Bytes per event of the second half, by least squares."""
        done = np.interp([at for at, _ in self.sizes], self.at, self.done)
        half = [place for place, one in enumerate(done) if one > self.done[-1] / 2]
        sizes = [self.sizes[place][1] for place in half]
        return float(np.polyfit(done[half], sizes, 1)[0]) if len(set(done[half])) > 2 else 0.0


async def measure(stack: Stack) -> list[Line]:
    settings, processes = stack.settings, os.cpu_count() or 1
    kept: list[bytes] = []
    async with ports(DEFINITION, settings) as service:
        for topic, records in replay.portions(EVENTS):
            await service.log.publish(topic, records)
            kept += [one.value for one in records[:: max(1, EVENTS // PEER_EVENTS)]]
        some = min(EVENTS, ALONE)
        bare = some / await raw(settings.kafka, CONTROL_TOPICS, some, settings.consumer_max_records)
        alone = await _alone(service, bare) if EVENTS <= ALONE else []
        watched = await _side_by_side(stack, service, processes)
    spent = sum(watched.cpu.values()) / EVENTS * 1e6
    many = f"{watched.rate:,.0f} events/s by {processes} processes; {spent:.0f} us with start"
    lines = [
        *alone,
        Line("rebuild by one process a core", watched.rate / bare, f"raw aiokafka, {bare:,.0f}/s", RAW_LEAST, many),
        _memory(watched),
    ]
    try:
        return lines + await asyncio.to_thread(_peer, stack, kept[:PEER_EVENTS], watched.rate)
    except NotHad as error:
        return [*lines, Line("rebuild", float("nan"), "eventsourcing (could not be run)", None, str(error))]


async def _alone(service: Service, bare: float) -> list[Line]:
    """The ledger's consumer in this process; its views are emptied again."""
    consumer = next(one for one in DEFINITION.consumers(service) if one.name == LEDGER)
    seconds, cpu = await timed(consumer, EVENTS)
    await rebuild(DEFINITION, service)
    rate = EVENTS / seconds
    told = f"{rate:,.0f} events/s, {cpu / EVENTS * 1e6:.0f} us of Python's CPU an event"
    return [Line("rebuild by one process", rate / bare, f"raw aiokafka, {bare:,.0f}/s", RAW_LEAST, told)]


async def _side_by_side(stack: Stack, service: Service, processes: int) -> Watched:
    given = {"KAFKA": stack.settings.kafka, "POSTGRES": stack.settings.postgres, "REDIS": stack.settings.redis}
    os.environ |= {f"MUNIMENT_{name}": value for name, value in given.items()}
    os.environ["MUNIMENT_DATA_DIR"] = str(stack.folder / "folding")
    watched = Watched()
    command = (sys.executable, "-m", "services.audit", "fold", "--share")
    running = asyncio.create_task(refill(DEFINITION, service, processes, command, watched.tell))
    while not running.done():
        sizes = [0]
        for child in psutil.Process().children():
            with suppress(psutil.Error):
                if "fold" in child.cmdline():
                    sizes.append(child.memory_info().rss)
                    used = child.cpu_times()
                    watched.cpu[child.pid] = used.user + used.system
        watched.sizes.append((monotonic(), max(sizes)))
        await asyncio.sleep(SAMPLE_SECONDS)
    await running
    watched.ended = monotonic()
    return watched


def _memory(watched: Watched) -> Line:
    peak, growth = max(size for _, size in watched.sizes), max(0.0, watched.growth)
    wanted = peak + growth * (MANY - EVENTS)
    figures = (
        f"peak {peak / MIB:.0f} MiB a process at {EVENTS:,}, {growth * 1e6 / MIB:.1f} MiB a million more at last: "
        f"{wanted / MIB:.0f} MiB at {MANY:,}"
    )
    least = 1 if EVENTS >= TELLING else None
    return Line("memory of a rebuild", MOST / wanted, "400 MiB at ten million events (extrapolated)", least, figures)


def _peer(stack: Stack, values: list[bytes], mine: float) -> list[Line]:
    """Raises NotHad."""
    python = installed("eventsourcing", PEER)
    path = stack.folder / "data.jsonl"
    path.write_bytes(b"".join(value + b"\n" for value in values))
    server = urlsplit(stack.settings.postgres)
    where = [server.hostname or "", str(server.port), server.username or "", server.path[1:]]
    command = [str(python), str(FILES / "eventsourcing.py"), *where, str(path), str(PEER_SECONDS)]
    try:
        done = subprocess.run(command, cwd=FILES, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
        told = json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        said = re.split(r"\n", str(getattr(error, "stderr", "") or error).strip())
        raise NotHad(f"could not be run: {said[-1]}") from error
    put, read = told["put"] / told["put_seconds"], told["read"] / told["read_seconds"]
    name = f"eventsourcing {told['version']}"
    cpu = f"its Python {told['put_cpu'] / told['put'] * 1e6:.0f} us an event"
    return [
        Line("rebuild", mine / put, f"{name} into a view", PEER_LEAST, f"{mine:,.0f}/s against {put:,.0f}/s, {cpu}"),
        Line("rebuild", mine / read, f"{name} only reading back", PEER_LEAST, f"{mine:,.0f}/s against {read:,.0f}/s"),
    ]
