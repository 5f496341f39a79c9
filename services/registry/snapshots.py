"""Snapshots of models with long streams, so that a fresh process need not fold ten thousand versions first.

A snapshot says of which stream, sequence and event it is, and by which code it was folded. It is only ever a shorter
way: one that does not fit in any of these, or whose bytes are not those that were written, is passed over.
"""

import asyncio
import hashlib
import inspect
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

import orjson
import structlog

from services.registry.domain import model_state, models, numbered, snapshot
from services.registry.domain.model_state import ModelState, initial
from shared.events import catalog, codec
from shared.events import registry as events_of_the_registry
from shared.log.store import UnitOfWork
from shared.log.tables import Change, Put, Query, equal
from shared.runtime.service import Service
from shared.runtime.tasks import Periodic

logger = structlog.get_logger()

TABLE = "snapshots"
HEAD = -1
"""The part that holds all but the versions, and what the snapshot is of."""
PREFIX = "model/"
MAX_PARTS = 100_000
MAX_STREAMS = 2_000
"""Streams whose last snapshot is known here."""


@dataclass(frozen=True, slots=True)
class _Kept:
    """The snapshot that lies in the store: where the stream stood, the digest of each part, and the state it holds."""

    sequence: int
    digests: tuple[str, ...]
    state: ModelState


class Snapshots:
    """Those of one service, kept by whichever process has folded the streams anyway: each looks now and then."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._kept: dict[str, _Kept] = {}
        self._looking: asyncio.Task[None] | None = None

    @staticmethod
    def of(service: Service) -> "Snapshots":
        """Those of this service, known to its command loop from now on."""
        known = service.commands.snapshots
        if not isinstance(known, Snapshots):
            known = service.commands.snapshots = Snapshots(service)
            service.on_start.append(known.begin)
            service.on_close.append(known.close)
        return known

    async def restore(self, unit: UnitOfWork, subject: str) -> tuple[int, ModelState] | None:
        """(sequence, state) of a stream from its snapshot; None where there is none that fits."""
        if not subject.startswith(PREFIX):
            return None
        rows = await unit.find(Query(TABLE, equal(stream=subject), ("part",), MAX_PARTS))
        if not rows:
            return None
        try:
            said = _said(rows[0]["body"])
            state = await _checked(unit, subject, said, [row["body"] for row in rows[1:]])
        except ValueError as error:
            logger.warning("snapshot passed over", stream=subject, reason=str(error))
            return None
        self._remember(subject, _Kept(said["sequence"], tuple(said["digests"]), state))
        return said["sequence"], state

    def begin(self) -> None:
        """Look every `snapshot_seconds`, until `close`."""
        looking = Periodic("registry.snapshots", self._service.settings.snapshot_seconds, self.keep)
        self._looking = asyncio.create_task(looking.run(), name=looking.name)

    async def close(self) -> None:
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    async def keep(self) -> None:
        """Take a snapshot of each remembered stream that has grown by `snapshot_events` since its last."""
        least = self._service.settings.snapshot_events
        for subject, (sequence, state) in self._service.commands.remembered().items():
            kept = self._kept.get(subject)
            if isinstance(state, ModelState) and sequence - (kept.sequence if kept else 0) >= least:
                await self._keep(subject, sequence, state)

    async def _keep(self, subject: str, sequence: int, state: ModelState) -> None:
        async with self._service.store.begin() as unit:
            events = await unit.load(subject, sequence - 1)
            await unit.lock([f"{TABLE}:{subject}"])
            lying = await _lying(unit, subject)
            if not events:
                return
            if lying and sequence - lying["sequence"] < self._service.settings.snapshot_events:
                self._remember(subject, _Kept(lying["sequence"], (), initial))  # another process has taken it
                return
            before = self._kept.get(subject)
            if before is not None and (not lying or tuple(lying["digests"]) != before.digests):
                before = None  # the parts that lie there are not those of the state known here
            digests = list(before.digests) if before else []
            changes: list[Change] = []
            for part in snapshot.parts(state, before.state if before else None):
                digests[part.number : part.number + 1] = [_digest(part.body)]
                changes.append(Put(TABLE, {"stream": subject, "part": part.number, "body": part.body}))
                await asyncio.sleep(0)  # others are answered in between
            said = {"schema": schema(), "sequence": sequence, "event_id": events[0].id, "digests": digests}
            text = orjson.dumps(said | {"state": snapshot.head(state).decode()})
            head = Put(TABLE, {"stream": subject, "part": HEAD, "body": _digest(text).encode() + text})
            await unit.apply([*changes, head])
        self._remember(subject, _Kept(sequence, tuple(digests), state))

    def _remember(self, subject: str, kept: _Kept) -> None:
        if len(self._kept) >= MAX_STREAMS and subject not in self._kept:
            self._kept.pop(next(iter(self._kept)))
        self._kept[subject] = kept


async def _checked(unit: UnitOfWork, subject: str, said: Mapping[str, Any], bodies: Sequence[bytes]) -> ModelState:
    """Raises ValueError with the reason why it does not fit."""
    if [_digest(body) for body in bodies] != said["digests"]:
        raise ValueError("its parts are not those that were written")
    last = await unit.load(subject, said["sequence"] - 1)
    if not last or last[0].id != said["event_id"]:
        raise ValueError("the stream has another event in its place")
    return snapshot.restored(said["state"].encode(), bodies)


async def _lying(unit: UnitOfWork, subject: str) -> dict[str, Any] | None:
    """What the snapshot in the store says it is, if this code can read it."""
    row = await unit.get(TABLE, subject, HEAD)
    try:
        return _said(row["body"]) if row else None
    except ValueError:
        return None


def _said(head: bytes) -> dict[str, Any]:
    """What the head of a snapshot says it is. Raises ValueError where this code cannot go by it."""
    digest, text = head[:64], head[64:]
    if digest != _digest(text).encode():
        raise ValueError("its head is not the one that was written")
    said: dict[str, Any] = orjson.loads(text)
    if said["schema"] != schema():
        raise ValueError("it was folded by other code")
    return said


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


@cache
def schema() -> str:
    """The SHA-256 (hex) of the code that folds: any change to it, or to what it folds, makes snapshots unfit."""
    events = [
        import_module(f"{events_of_the_registry.__name__}.{one.name}")
        for one in pkgutil.iter_modules(events_of_the_registry.__path__)
    ]
    code = [model_state, models, numbered, snapshot, catalog, codec, events_of_the_registry, *events]
    return hashlib.sha256("\0".join(map(inspect.getsource, code)).encode()).hexdigest()
