"""Views made anew from the log: emptied for the workers to fill, or filled here, by several processes side by side."""

import asyncio
import json
import signal
import sys
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from time import monotonic
from typing import Any

from shared.log.records import TopicPartition
from shared.runtime import memory
from shared.runtime.progress import Progress, Told
from shared.runtime.service import Definition, Service

LOOK_SECONDS = 0.5
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


async def refill(
    definition: Definition, service: Service, processes: int, fold: Sequence[str], tell: Callable[[Told], None]
) -> None:
    """Empty the views and fill them up to where the log ends now, by so many processes, each with partitions of its
    own. Consumers of other processes wait meanwhile. Raises Broken, InUse.

    `fold`: the command of such a process, to which its share is added. Indexes that only queries need are made once, at
    the end. `tell` hears of the progress.
    """
    consumers = definition.consumers(service)
    async with service.store.filling(), AsyncExitStack() as loading:
        before = await service.store.offsets()
        ends: dict[Place, int] = {}
        for consumer in consumers:
            bounds = await service.log.bounds(consumer.topics)
            ends |= {(consumer.name, place): bound.end for place, bound in bounds.items()}
        await rebuild(definition, service)
        for consumer in consumers:
            if consumer.loads:
                await loading.enter_async_context(service.store.loading(consumer.loads))
        shares = [as_text({name: before.get(name, 0) for name in share}) for share in parted(ends, processes)]
        async with _folding([[*fold, share] for share in shares]) as children:
            await _until(service, ends, children, tell)


def parted(ends: Mapping[Place, int], parts: int) -> list[list[Place]]:
    """The partitions in so many parts, or fewer, of about as many records each: the longest first, to whoever has
    least. Pure."""
    shares: list[list[Place]] = [[] for _ in range(max(1, min(parts, len(ends))))]
    loads = [0] * len(shares)
    for name in sorted(ends, key=lambda name: (-ends[name], name)):
        least = min(range(len(shares)), key=lambda number: (loads[number], len(shares[number])))
        shares[least].append(name)
        loads[least] += ends[name]
    return shares


def as_text(share: Mapping[Place, int]) -> str:
    """A share as an argument of a command; `parsed` reads it."""
    return json.dumps([[consumer, *place, offset] for (consumer, place), offset in share.items()])


def parsed(text: str) -> dict[Place, int]:
    return {(consumer, TopicPartition(topic, number)): offset for consumer, topic, number, offset in json.loads(text)}


async def fold(definition: Definition, service: Service, share: Mapping[Place, int]) -> bool:
    """Fill the views from a share of the log, until SIGTERM or SIGINT or the end of who started it; whether it was told
    to end. `share`: partitions by consumer, each with the offset up to which events were seen before the rebuild."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    loop.add_reader(sys.stdin, stop.set)  # whose other end closes with the process that started this one
    memory.settle(memory.REFILLING_COLLECTS_EVERY)
    tasks: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    for consumer in definition.consumers(service):
        consumer.loads = ()
        consumer.share = {place: offset for (name, place), offset in share.items() if name == consumer.name}
        if consumer.share:
            tasks.append(asyncio.create_task(consumer.run()))
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    loop.remove_reader(sys.stdin)
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return stop.is_set()


def without_indexes(definition: Definition) -> Definition:
    """For a process that folds: setting up its store would make the indexes again."""
    return replace(definition, tables=tuple(replace(table, indexes=()) for table in definition.tables))


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
async def _folding(commands: Sequence[Sequence[str]]) -> AsyncGenerator[Sequence[asyncio.subprocess.Process], None]:
    """Processes that only consume."""
    children: list[asyncio.subprocess.Process] = []
    try:
        for command in commands:
            children.append(await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE))
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
