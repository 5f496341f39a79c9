# pyright: basic
# faust and mode ship partial types

"""Faust's Kafka consumer without its futures for each record.

Faust hands every record to its stream by `wait_first`: four tasks a record, a third of what a record of 1,000
predictions costs, although a stream that has room takes it at once. Here the work begins where it is called, and only
what has to wait is waited for as Faust does.
"""

import asyncio
import types
from collections.abc import Coroutine, Generator
from typing import Any

from faust.transport.drivers import aiokafka
from mode.services import Service, WaitResults


class AtOnce(Service):
    """A service that does not wait for work that needs no waiting."""

    async def wait_first(self, *coros: Any, timeout: Any = None) -> WaitResults:
        """As mode's, of which `coros` are the work and what may come before it."""
        work, *others = coros
        if timeout or not asyncio.iscoroutine(work):
            return await super().wait_first(*coros, timeout=timeout)
        try:
            waits_for = work.send(None)
        except StopIteration as ended:
            _drop(others)
            stopped = self._stopped.is_set() or self._crashed.is_set()
            return WaitResults([], [], True) if stopped else WaitResults([work], [ended.value], False)
        except BaseException:
            _drop(others)
            raise
        return await super().wait_first(_rest(work, waits_for), *others)


class Consumer(AtOnce, aiokafka.Consumer):
    """What `faust.App.transport` makes where it is told to."""


def _drop(others: list[Any]) -> None:
    for one in others:
        if asyncio.iscoroutine(one):
            one.close()


async def _rest(work: Coroutine[Any, Any, Any], waits_for: Any) -> Any:
    """What is left of a coroutine that was begun and waits for something."""
    return await _going_on(work, waits_for)


@types.coroutine
def _going_on(work: Coroutine[Any, Any, Any], waits_for: Any) -> Generator[Any, Any, Any]:
    while True:
        try:
            sent = yield waits_for
        except BaseException as error:  # a cancellation, or what the awaited failed with
            step, given = work.throw, error
        else:
            step, given = work.send, sent
        try:
            waits_for = step(given)
        except StopIteration as ended:
            return ended.value
