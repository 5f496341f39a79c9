"""Predictions straight to the log: one `PredictionLogged` per batch; rows that come alone share a batch (≤ 5 ms)."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from shared.events import batches
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.codec import encode
from shared.events.envelope import Event
from shared.events.monitor import PredictionLogged
from shared.keyring.keyring import MAX_SUBJECT, Keyring, KeyringUnavailable, NoKeyring
from shared.keyring.sealing import ENTITY, NoSubject, sealed, subject_column, subjects_of
from shared.log.log import EventLog
from shared.runtime.commands import new_id, now
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_SEALED_AT_ONCE = 200
"""Rows whose sealing takes so long that others of this process must not wait for it."""

Value = float | int | bool | str | None
Fallback = Literal["", "constant"]


@dataclass(frozen=True, slots=True)
class Target:
    """The deployed model version that predicted.

    `subject`: the column's name by which its predictions tell the person they are about (`Signature.about`), and
    `personal`: the features that go into the log encrypted with that person's key.
    """

    deployment: str
    model: str
    version: int
    personal: tuple[str, ...] = ()
    subject: str | None = None


@dataclass(frozen=True, slots=True)
class PredictionRow:
    """One prediction. `id`: the client's own, None to be given one."""

    at: datetime
    features: dict[str, Value]
    output: dict[str, Value]
    id: str | None = None
    entity: str | None = None
    segment: str | None = None


class PredictionWriter:
    """Writes predictions of one service to the log. Everything returns only after the log's acknowledgement.

    Personal values are sealed here, before anything is encoded: no other place writes predictions.

    All methods raise LogUnavailable when the log did not acknowledge, and of versions with personal values Problem: 422
    `no-subject` where a row names nobody, 503 `no-keyring`.
    """

    def __init__(self, service_name: str, log: EventLog, settings: Settings, keyring: Keyring | None = None) -> None:
        self.source, self.log, self.settings = f"/muniment/{service_name}", log, settings
        self.keyring = keyring or NoKeyring()
        self._gathering: dict[_Key, _Gathering] = {}
        self._flushing: dict[_Key, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def batch(
        self,
        target: Target,
        batch: pa.RecordBatch,
        actor: str,
        batch_id: str,
        at_default: datetime,
        fallback: Fallback = "",
    ) -> str:
        """Log a batch of 1 to MAX_ROWS rows (columns: `shared.events.batches`); rows without `at` get `at_default`.
        `fallback`: see `PredictionLogged`.

        Returns the batch's id, which names its rows (`batches.prediction_id`).
        """
        timed = with_times(batch, at_default)
        return await self.written(target, timed, batches.write(timed), actor, batch_id, fallback=fallback)

    async def written(
        self,
        target: Target,
        batch: pa.RecordBatch,
        table: bytes,
        actor: str,
        batch_id: str,
        span: tuple[int, int] | None = None,
        fallback: Fallback = "",
    ) -> str:
        """The same for a batch that has all its times and that `table` holds already as an Arrow IPC stream.

        `span`: its first and last time in microseconds since 1970, where they are known."""
        if target.subject is not None:
            batch = await self._sealed(target, target.subject, batch)
            table = batches.write(batch)
        first, last = span or _span(batch)
        payload = PredictionLogged(
            deployment=target.deployment,
            model=target.model,
            version=target.version,
            rows=batch.num_rows,
            start=_moment(first),
            end=_moment(last),
            client_ids="prediction_id" in batch.schema.names,
            fallback=fallback,
        )
        event = Event(batch_id, self.source, f"batch/{batch_id}", now(), 0, actor, payload, table=table)
        await self.log.publish(TOPIC_PREDICTIONS, [encode(event)])
        return batch_id

    async def one(self, target: Target, row: PredictionRow, actor: str) -> str:
        """Log one prediction together with its neighbours of the same shape; returns its id."""
        batch_id, place = await self.placed(target, row, actor)
        return row.id if row.id is not None else batches.prediction_id(batch_id, place)

    async def placed(self, target: Target, row: PredictionRow, actor: str) -> tuple[str, int]:
        """As `one`; returns the batch that took the row in, and its place there."""
        if target.subject is not None:
            _check_subject(target.subject, row)  # nobody else in the batch must fail for it
        key = _key(target, row, actor)
        gathering = self._gathering.get(key)
        if gathering is not None and row.id in gathering.ids:  # in one batch an id names one row
            self._flush(key)
            gathering = None
        if gathering is None:
            gathering = self._gathering[key] = _Gathering(new_id())
            delay = self.settings.coalesce_seconds if self._flushing.get(key) else 0.0
            gathering.timer = asyncio.get_running_loop().call_later(delay, self._flush, key)
        place = len(gathering.rows)
        gathering.rows.append(row)
        if row.id is not None:
            gathering.ids.add(row.id)
        if len(gathering.rows) >= min(self.settings.coalesce_rows, batches.MAX_ROWS):
            self._flush(key)
        await asyncio.shield(gathering.done)
        return gathering.batch_id, place

    async def close(self) -> None:
        """Write what still waits."""
        for key in list(self._gathering):
            self._flush(key)
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _sealed(self, target: Target, subject: str, batch: pa.RecordBatch) -> pa.RecordBatch:
        try:
            subjects = subjects_of(batch, subject)
            keys = await self.keyring.keys(list(dict.fromkeys(subjects)))
        except NoSubject as error:
            raise no_subject(str(error)) from error
        except KeyringUnavailable as error:
            detail = f"This version's predictions hold personal values, and no key can be had: {error}."
            fix = "Nothing was written; try again, and see MUNIMENT_KEYRING."
            raise Problem(503, "no-keyring", detail, fix, headers={"Retry-After": "1"}) from error
        if batch.num_rows < _SEALED_AT_ONCE:
            return sealed(batch, target.personal, subjects, keys)
        return await asyncio.to_thread(sealed, batch, target.personal, subjects, keys)

    def _flush(self, key: "_Key") -> None:
        gathering = self._gathering.pop(key, None)
        if gathering is None:
            return
        if gathering.timer is not None:
            gathering.timer.cancel()
        self._flushing[key] = self._flushing.get(key, 0) + 1
        self._spawn(self._write(key, gathering))

    async def _write(self, key: "_Key", gathering: "_Gathering") -> None:
        try:
            batch = batch_of(gathering.rows)
            await self.written(key.target, batch, batches.write(batch), key.actor, gathering.batch_id)
            gathering.done.set_result(None)
        except asyncio.CancelledError:
            gathering.done.cancel()
            raise
        except Exception as error:  # every waiting caller must learn of it
            gathering.done.set_exception(error)
            gathering.done.exception()  # a caller that left already must not turn it into a warning
        finally:
            left = self._flushing[key] - 1
            if left:
                self._flushing[key] = left
            else:
                del self._flushing[key]
                self._flush(key)  # nothing is under way any more, so waiting gains nothing

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


@dataclass(frozen=True, slots=True)
class _Key:
    """What rows must share to fit into one batch: who, where, and the names and types of their values."""

    target: Target
    actor: str
    own_id: bool
    shape: tuple[tuple[str, type], ...]


@dataclass(slots=True)
class _Gathering:
    batch_id: str
    rows: list[PredictionRow] = field(default_factory=list)
    ids: set[str] = field(default_factory=set)
    timer: asyncio.TimerHandle | None = None
    done: "asyncio.Future[None]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


def batch_of(rows: list[PredictionRow]) -> pa.RecordBatch:
    """Rows of one shape as a record batch."""
    first = rows[0]
    columns: dict[str, pa.Array] = {}
    if first.id is not None:
        columns["prediction_id"] = pa.array([row.id for row in rows], pa.string())
    columns["at"] = times_column([row.at for row in rows])
    for name, values in (("entity", [row.entity for row in rows]), ("segment", [row.segment for row in rows])):
        if any(value is not None for value in values):
            columns[name] = pa.array(values, pa.string())
    for name in first.features:
        columns[batches.FEATURE + name] = _column([row.features[name] for row in rows])
    for name in first.output:
        columns[batches.OUTPUT + name] = _column([row.output[name] for row in rows])
    return pa.record_batch(columns)


def times_column(times: Sequence[datetime]) -> pa.Array:
    """Times as a column of the log's type. Made of whole microseconds, since pyarrow loads pandas to read datetimes."""
    return pa.array([(at - _EPOCH) // _MICROSECOND for at in times], pa.int64()).view(batches.TIMESTAMP)


def with_times(batch: pa.RecordBatch, at_default: datetime) -> pa.RecordBatch:
    """The batch with a time in every row."""
    default = times_column([at_default])[0]
    if "at" not in batch.schema.names:
        return batch.append_column("at", pa.repeat(default, batch.num_rows))
    at = batch.column("at")
    if not at.null_count:
        return batch
    return batch.set_column(batch.schema.get_field_index("at"), "at", pc.fill_null(at, default))


def no_subject(reason: str) -> Problem:
    """A prediction of a version with personal values does not say whose they are."""
    detail = f"This version's predictions hold personal values, and {reason}."
    return Problem(422, "no-subject", detail, "Name the person in each row; nothing was written.")


def _check_subject(subject: str, row: PredictionRow) -> None:
    value = row.entity if subject == ENTITY else row.features.get(subject)
    if value is None or not 0 < len(str(value)) <= MAX_SUBJECT:
        raise no_subject(str(NoSubject(0, subject_column(subject))))


def _key(target: Target, row: PredictionRow, actor: str) -> _Key:
    shape = [(name, type(value)) for name, value in row.features.items()]
    shape += [(batches.OUTPUT + name, type(value)) for name, value in row.output.items()]
    return _Key(target, actor, row.id is not None, tuple(shape))


def _column(values: list[Value]) -> pa.Array:
    return pa.array(values, pa.float64()) if values[0] is None else pa.array(values)


def _span(batch: pa.RecordBatch) -> tuple[int, int]:
    times = batch.column("at").view(pa.int64()).to_numpy()
    return int(times.min()), int(times.max())


def _moment(microseconds: int) -> datetime:
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)
