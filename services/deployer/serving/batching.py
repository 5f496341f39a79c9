"""Requests that come while a run is under way are answered together by the next run.

Whoever finds nothing under way is answered at once, so that a lone row gains nothing and loses nothing by it; a run is
under way until its turn of the event loop is over (or, of a slow model, until its thread is). Source of the scheme:
D. Crankshaw et al., Clipper: A Low-Latency Online Prediction Serving System, NSDI 2017, section 4.3.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from services.deployer.serving.frames import Columns, Frame
from shared.events.registry import Signature
from shared.models import ModelFailed, Unservable
from shared.models.onnx import frame_of_rows
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings

Row = Sequence[Any]
"""Plain values in the signature's order."""


class Answering(Protocol):
    """A model. Both raise ModelFailed where it fails on these rows, Unservable where its outputs do not fit."""

    def answer(self, frame: Frame) -> Columns: ...

    def answer_rows(self, rows: Sequence[Row]) -> Columns: ...


@dataclass(slots=True)
class _Waiting:
    """A request that waits: one row, or a frame."""

    asked: Row | Frame
    rows: int
    done: "asyncio.Future[Columns]"


@dataclass(slots=True)
class Batching:
    """Answers requests of one model. `threaded`: runs take so long that others are to be read meanwhile.

    At most `settings.batch_rows` rows of several requests share a run; with `settings.batch_wait_seconds` above 0 a
    request that finds nothing under way waits so long for others. One that is larger than a batch runs by itself.
    """

    model: Answering
    signature: Signature
    settings: Settings
    threaded: bool = False
    _waiting: "deque[_Waiting]" = field(default_factory=deque["_Waiting"])
    _busy: bool = False
    _running: "asyncio.Task[None] | None" = None

    async def ask(self, asked: Row | Frame) -> Columns:
        """The outputs of this request's rows. Raises ModelFailed, Unservable; Problem 503 where too many wait."""
        if self._busy or self.threaded or self.settings.batch_wait_seconds > 0:
            return await self._queued(asked)
        self._busy = True
        asyncio.get_running_loop().call_soon(self._next)
        return answered(self.model, asked)

    def _queued(self, asked: Row | Frame) -> "asyncio.Future[Columns]":
        if len(self._waiting) >= self.settings.batch_max_waiting:
            detail = f"{len(self._waiting)} requests wait for this model already."
            raise Problem(503, "overloaded", detail, "Try again in a moment.", headers={"Retry-After": "1"})
        loop = asyncio.get_running_loop()
        one = _Waiting(asked, asked.rows if isinstance(asked, Frame) else 1, loop.create_future())
        self._waiting.append(one)
        if not self._busy:
            self._busy = True
            loop.call_later(self.settings.batch_wait_seconds, self._next)
        return one.done

    def _next(self) -> None:
        """Run what came meanwhile; busy until nothing did."""
        batch = self._taken()
        if not batch:
            self._busy = False
        elif self.threaded:
            self._running = asyncio.create_task(self._in_thread(batch))
        else:
            _tell(batch, _outcomes(self.model, self.signature, batch))
            asyncio.get_running_loop().call_soon(self._next)

    async def _in_thread(self, batch: list[_Waiting]) -> None:
        _tell(batch, await asyncio.to_thread(_outcomes, self.model, self.signature, batch))
        self._next()

    def _taken(self) -> list[_Waiting]:
        """The requests of the next run: in the order in which they came, as many as fit."""
        batch: list[_Waiting] = []
        rows = 0
        while self._waiting:
            if self._waiting[0].done.done():  # who asked has left
                self._waiting.popleft()
                continue
            rows += self._waiting[0].rows
            if batch and rows > self.settings.batch_rows:
                break
            batch.append(self._waiting.popleft())
        return batch


def merged(asked: Sequence[Row | Frame], signature: Signature) -> Frame:
    """The rows of several requests, one after another."""
    frames = [one if isinstance(one, Frame) else frame_of_rows([one], signature) for one in asked]
    columns = {name: np.concatenate([one.columns[name] for one in frames]) for name in frames[0].columns}
    return Frame(sum(one.rows for one in frames), columns)


def split(columns: Columns, counts: Sequence[int]) -> list[Columns]:
    """Each request's own rows again, in the order of `merged`."""
    parts: list[Columns] = []
    start = 0
    for count in counts:
        parts.append({name: column[start : start + count] for name, column in columns.items()})
        start += count
    return parts


def answered(model: Answering, asked: Row | Frame) -> Columns:
    """The outputs of one request by itself."""
    return model.answer(asked) if isinstance(asked, Frame) else model.answer_rows([asked])


def _outcomes(model: Answering, signature: Signature, batch: Sequence[_Waiting]) -> list[Columns | Exception]:
    """What each request gets. Where the run fails, each runs by itself, so that none fails for its neighbour."""
    if len(batch) > 1:
        try:
            return [*_together(model, signature, batch)]
        except (ModelFailed, Unservable):
            pass
    return [_alone(model, one.asked) for one in batch]


def _together(model: Answering, signature: Signature, batch: Sequence[_Waiting]) -> list[Columns]:
    asked = [one.asked for one in batch]
    rows = [one for one in asked if not isinstance(one, Frame)]
    columns = model.answer_rows(rows) if len(rows) == len(asked) else model.answer(merged(asked, signature))
    return split(columns, [one.rows for one in batch])


def _alone(model: Answering, asked: Row | Frame) -> Columns | Exception:
    try:
        return answered(model, asked)
    except Exception as error:  # whatever it is, it is for who asked
        return error


def _tell(batch: Sequence[_Waiting], outcomes: Sequence[Columns | Exception]) -> None:
    for one, outcome in zip(batch, outcomes, strict=True):
        if one.done.done():
            continue
        if isinstance(outcome, Exception):
            one.done.set_exception(outcome)
        else:
            one.done.set_result(outcome)
