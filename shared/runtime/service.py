"""What a service is made of, and what its rooms are handed."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from fastapi import APIRouter
from prometheus_client.registry import Collector

from shared.keyring.keyring import Keyring, NoKeyring
from shared.log.log import EventLog
from shared.log.store import Store
from shared.log.tables import Row, Table
from shared.runtime.commands import CommandLoop
from shared.runtime.settings import Settings

if TYPE_CHECKING:
    from shared.runtime.consumer import Consumer
    from shared.runtime.tasks import Periodic


class Live(Protocol):
    """What may be lost at any time (Valkey): fan-out to streams of server-sent events, and counts for rate limits."""

    async def send(self, channel: str, *messages: str) -> None:
        """To whoever listens now, in this order."""
        ...

    def listen(self, channel: str) -> "AsyncMessages": ...

    async def count(self, name: str, seconds: int, by: int = 1) -> tuple[int, int]:
        """Add to the count of `name`, which begins anew `seconds` after its first: (count, seconds until then). Where
        counts are lost it begins anew, too."""
        ...


class AsyncMessages(Protocol):
    """An async iterator over messages, closed by leaving its `async with`."""

    async def __aenter__(self) -> "AsyncMessages": ...

    async def __aexit__(self, *details: object) -> None: ...

    async def next(self, timeout: float) -> str | None:
        """The next message, or None after `timeout` seconds."""
        ...


@dataclass(slots=True)
class Service:
    """One running service: its ports and its command loop. Handed to `api.router` and `worker.consumers`.

    `keyring`: the keys of personal values, the same for all services.
    `collectors`: further figures for `/metrics`, by a name of their own: a router made again brings its figures again.
    `on_start`: called once the process begins its work, within its loop; none may wait.
    `flushes`: awaited by whoever wants to see on the log all that was answered so far.
    `on_close`: awaited one after another when the last request has ended, before the ports close; a writer puts its
    flush here. `closing` is set as soon as the process is asked to stop, so that endless answers can end.
    """

    name: str
    settings: Settings
    store: Store
    log: EventLog
    live: Live
    commands: CommandLoop
    keyring: Keyring = field(default_factory=NoKeyring)
    collectors: dict[str, Collector] = field(default_factory=dict[str, Collector])
    on_start: list[Callable[[], None]] = field(default_factory=list["Callable[[], None]"])
    on_close: list[Callable[[], Awaitable[None]]] = field(default_factory=list["Callable[[], Awaitable[None]]"])
    flushes: list[Callable[[], Awaitable[None]]] = field(default_factory=list["Callable[[], Awaitable[None]]"])
    closing: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class Merging:
    """A view whose rows mean something only together: those that agree in the key columns `by`, the first of the key.

    `merge`: such rows to the one row that any order of the log's partitions must give; it may leave columns out.
    """

    by: tuple[str, ...]
    merge: Callable[[Sequence[Row]], Row]


def _nothing(_: Service) -> "list[Periodic]":
    return []


@dataclass(frozen=True, slots=True)
class Definition:
    """The rooms of one service, for whoever wires it. `consumers` fold the log, `periodic` jobs run beside them.

    `agents`: names of the consumers that a Faust agent drives where the log is Kafka.

    For the check of the views (`shared.runtime.checking`): `work`, names of consumers that fill no view, only tables of
    work in hand; `settles`, jobs that bring views to where the consumers have got, without a clock and without a word
    of their own to the log; `merging`, views that are compared merged, by name.
    """

    name: str
    tables: tuple[Table, ...]
    router: Callable[[Service], APIRouter]
    consumers: "Callable[[Service], list[Consumer]]"
    periodic: "Callable[[Service], list[Periodic]]"
    agents: tuple[str, ...] = ()
    work: tuple[str, ...] = ()
    settles: "Callable[[Service], list[Periodic]]" = _nothing
    merging: Mapping[str, Merging] = field(default_factory=dict[str, Merging])
