"""Views made anew from the log: emptied for the workers to fill, or filled here, by several processes side by side."""

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from time import monotonic

from shared.log.records import TopicPartition
from shared.runtime.progress import Progress, Told
from shared.runtime.service import Definition, Service

LOOK_SECONDS = 1.0
"""How often it is looked how far the rebuild is."""

STOP_SECONDS = 10.0

Place = tuple[str, TopicPartition]


class Broken(Exception):
    """A process that fills the views ended by itself; the views are not whole. `str(error)` says which."""


async def rebuild(definition: Definition, service: Service) -> list[str]:
    """Empty the views of a service and let its consumers begin at the log's start; returns their names.

    Workers that run are fenced with their next record, and then begin again; others begin when they start. What the
    service stated stays; deciders state it no second time.
    """
    names = [consumer.name for consumer in definition.consumers(service)]
    for name in names:
        await service.store.clear_views(name)
    return names


async def refill(definition: Definition, service: Service, processes: int, tell: Callable[[Told], None]) -> None:
    """Empty the views and fill them up to where the log ends now, by so many processes, each with a share of the log's
    partitions (and the workers that run, who are members of the same groups). Raises Broken.

    Indexes that only queries need are made once, at the end. `tell` hears of the progress.
    """
    consumers = definition.consumers(service)
    ends: dict[Place, int] = {}
    for consumer in consumers:
        bounds = await service.log.bounds(consumer.topics)
        ends |= {(consumer.name, place): bound.end for place, bound in bounds.items() if bound.end > bound.begin}
    await rebuild(definition, service)
    async with AsyncExitStack() as loading:
        for consumer in consumers:
            if consumer.loads:
                await loading.enter_async_context(service.store.loading(consumer.loads))
        async with _folding(definition.name, processes) as children:
            await _until(service, ends, children, tell)


async def _until(
    service: Service,
    ends: dict[Place, int],
    children: Sequence[asyncio.subprocess.Process],
    tell: Callable[[Told], None],
) -> None:
    progress, total = Progress(), sum(ends.values())
    while True:
        kept = await service.store.offsets()
        done = sum(min(kept.get(name, 0), end) for name, end in ends.items())
        tell(progress.measured(monotonic(), done, total))
        if done >= total:
            return
        for child in children:
            if child.returncode is not None:
                raise Broken(f"process {child.pid} that fills the views ended with {child.returncode}")
        await asyncio.sleep(LOOK_SECONDS)


@asynccontextmanager
async def _folding(service: str, processes: int) -> AsyncGenerator[Sequence[asyncio.subprocess.Process], None]:
    """So many processes that only consume."""
    command = (sys.executable, "-m", f"services.{service}", "fold")
    children: list[asyncio.subprocess.Process] = []
    try:
        for _ in range(processes):
            children.append(await asyncio.create_subprocess_exec(*command, env=dict(os.environ)))
        yield children
    finally:
        for child in children:
            if child.returncode is None:
                child.terminate()
        for child in children:
            try:
                await asyncio.wait_for(child.wait(), STOP_SECONDS)
            except TimeoutError:
                child.kill()
                await child.wait()
