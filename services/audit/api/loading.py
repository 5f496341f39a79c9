"""Reads that are asked for one by one and made together: what is asked for at once becomes one query, and nothing is
read twice for one question."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Loader(Generic[K, V]):
    """`load` answers a value for every key that it is asked for. Of use for as long as the answers may not change: to
    a question as of one moment."""

    def __init__(self, load: Callable[[list[K]], Awaitable[dict[K, V]]]) -> None:
        self._load = load
        self._found: dict[K, asyncio.Task[dict[K, V]]] = {}
        self._joining: list[K] = []

    async def of(self, keys: Iterable[K]) -> dict[K, V]:
        """The values of these keys, in their order."""
        asked = list(dict.fromkeys(keys))
        new = [key for key in asked if key not in self._found]
        if new:
            if not self._joining:
                self._next = asyncio.create_task(self._together())
            self._joining += new
            self._found |= dict.fromkeys(new, self._next)
        return {key: (await self._found[key])[key] for key in asked}

    async def _together(self) -> dict[K, V]:
        await asyncio.sleep(0)  # whoever runs now may still join
        keys, self._joining = self._joining, []
        return await self._load(keys)
