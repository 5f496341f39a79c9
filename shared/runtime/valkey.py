"""What may be lost, in Valkey (or Redis). A failure costs freshness for seconds; it is logged and fails no request."""

import asyncio
import contextlib
from collections.abc import Awaitable
from time import monotonic
from typing import Any, TypeVar

import structlog
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from shared.runtime.service import AsyncMessages

logger = structlog.get_logger()

T = TypeVar("T")

PREFIX = "muniment:"
TIMEOUT_SECONDS = 1.0
PAUSE_SECONDS = 1.0
"""After a failure nothing is tried for so long, so that a dead Valkey slows nobody down."""

_COUNT = """
local count = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('TTL', KEYS[1]) < 0 then redis.call('EXPIRE', KEYS[1], ARGV[2]) end
return {count, redis.call('TTL', KEYS[1])}
"""
"""One command in place of a transaction of three: this counts each flag that somebody raises."""

_FAILURES = (RedisError, OSError, TimeoutError)


class ValkeyLive:
    """Live across processes. `url` as `redis://HOST:PORT/DB` or `unix://PATH`."""

    def __init__(self, url: str) -> None:
        self._redis: Any = Redis.from_url(  # pyright: ignore[reportUnknownMemberType]
            url,
            decode_responses=True,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 1),
        )
        self._paused_until = 0.0

    async def send(self, channel: str, *messages: str) -> None:
        if not messages or self.paused():
            return
        pipeline = self._redis.pipeline(transaction=False)
        for message in messages:
            pipeline.publish(PREFIX + channel, message)
        await self._try(pipeline.execute())

    def listen(self, channel: str) -> AsyncMessages:
        return ValkeyMessages(self, self._redis, PREFIX + channel)

    async def count(self, name: str, seconds: int, by: int = 1) -> tuple[int, int]:
        if self.paused():
            return by, seconds
        found = await self._try(self._redis.eval(_COUNT, 1, PREFIX + name, by, seconds))
        return (int(found[0]), max(1, int(found[1]))) if found else (by, seconds)

    async def close(self) -> None:
        with contextlib.suppress(*_FAILURES):
            await self._redis.aclose()

    def paused(self) -> bool:
        """Whether it failed a moment ago."""
        return monotonic() < self._paused_until

    def failed(self, error: Exception) -> None:
        """Log a failure and pause."""
        self._paused_until = monotonic() + PAUSE_SECONDS
        logger.warning("valkey not reachable, going on without", error=repr(error))

    async def _try(self, work: Awaitable[T]) -> T | None:
        try:
            return await work
        except _FAILURES as error:
            self.failed(error)
            return None


class ValkeyMessages:
    """One subscription, made again after every failure."""

    def __init__(self, live: ValkeyLive, redis: Any, channel: str) -> None:
        self._live, self._redis, self._channel = live, redis, channel
        self._pubsub: Any = None

    async def __aenter__(self) -> "ValkeyMessages":
        await self._subscribed()
        return self

    async def __aexit__(self, *details: object) -> None:
        await self._drop()

    async def next(self, timeout: float) -> str | None:
        until = monotonic() + timeout
        while (left := until - monotonic()) > 0:
            if not await self._subscribed():
                await asyncio.sleep(min(left, PAUSE_SECONDS))
                continue
            try:
                message = await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=left)
            except _FAILURES as error:
                self._live.failed(error)
                await self._drop()
                continue
            if message is not None:
                return message["data"]
        return None

    async def _subscribed(self) -> bool:
        if self._pubsub is not None:
            return True
        if self._live.paused():
            return False
        self._pubsub = self._redis.pubsub()
        try:
            await self._pubsub.subscribe(self._channel)
            await self._pubsub.get_message(timeout=TIMEOUT_SECONDS)  # the confirmation: what is sent now will come
        except _FAILURES as error:
            self._live.failed(error)
            await self._drop()
        return self._pubsub is not None

    async def _drop(self) -> None:
        if self._pubsub is not None:
            with contextlib.suppress(*_FAILURES):
                await self._pubsub.aclose()
            self._pubsub = None
