"""Work that Faust's consumer waits for, begun where it is called: the same results, errors and order as mode's own."""

import asyncio

import pytest

from shared.runtime.faust_kafka import AtOnce


async def _never() -> None:
    await asyncio.Event().wait()


async def _ends(value: int) -> int:
    return value


async def test_work_that_needs_no_waiting_is_done_at_once() -> None:
    service = AtOnce()
    found = await service.wait_first(_ends(7), _never())
    assert (found.results, found.stopped) == ([7], False)


async def test_work_that_waits_goes_on_when_it_can() -> None:
    service, queue = AtOnce(), asyncio.Queue[int](1)
    await queue.put(1)
    waiting = asyncio.ensure_future(service.wait_first(queue.put(2), _never()))
    await asyncio.sleep(0)
    assert (await queue.get(), await queue.get()) == (1, 2)
    assert not (await waiting).stopped


@pytest.mark.parametrize("waits", [False, True])
async def test_what_work_fails_with_is_raised(waits: bool) -> None:
    async def fails() -> None:
        if waits:
            await asyncio.sleep(0)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await AtOnce().wait_first(fails(), _never())


async def test_what_comes_first_ends_the_waiting_and_the_work() -> None:
    cancelled = asyncio.Event()

    async def works() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    found = await AtOnce().wait_first(works(), _ends(1))
    assert found.results == [1]
    await cancelled.wait()


async def test_a_service_that_is_stopped_says_so() -> None:
    service = AtOnce()
    service._stopped.set()
    assert (await service.wait_first(_ends(1), _never())).stopped
