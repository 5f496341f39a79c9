"""Requests answered together get what each would have got by itself."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer.serving.batching import Batching, merged, split
from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.trying import tried
from shared.events.registry import Field, Signature
from shared.models import ModelFailed
from shared.models.onnx import frame_of_rows
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings

SIGNATURE = Signature(
    inputs=(Field(name="x", type="double"), Field(name="n", type="long"), Field(name="c", type="string")),
    outputs=(Field(name="y", type="double"),),
)
ROWS = st.lists(
    st.tuples(st.floats(allow_nan=False, width=32), st.integers(-(2**40), 2**40), st.text(max_size=3)), min_size=1
)
ASKED = st.lists(st.one_of(ROWS, ROWS.map(lambda rows: rows[0])), min_size=1, max_size=8)


class Model:
    """y = x + n for every row; fails on a row whose x is NaN. Remembers the sizes of its runs."""

    def __init__(self) -> None:
        self.runs: list[int] = []

    def answer(self, frame: Frame) -> Columns:
        self.runs.append(frame.rows)
        if np.isnan(frame.columns["x"]).any():
            raise ModelFailed("no number")
        return {"y": frame.columns["x"] + frame.columns["n"]}

    def answer_rows(self, rows: Sequence[Sequence[Any]]) -> Columns:
        return self.answer(frame_of_rows(rows, SIGNATURE))


def framed(asked: list[Any]) -> list[Any]:
    return [frame_of_rows(one, SIGNATURE) if isinstance(one, list) else one for one in asked]


def rows_of(frame: Frame) -> list[tuple[Any, ...]]:
    return list(zip(*(column.tolist() for column in frame.columns.values()), strict=True))


@given(ASKED)
def test_merging_keeps_every_row_in_order_and_splitting_gives_each_its_own(asked: list[Any]) -> None:
    frame = merged(framed(asked), SIGNATURE)
    parts = split(frame.columns, [len(one) if isinstance(one, list) else 1 for one in asked])
    found = [rows_of(Frame(len(part["x"]), part)) for part in parts]
    assert found == [one if isinstance(one, list) else [one] for one in asked]


@given(ASKED)
def test_whoever_asks_at_once_gets_what_he_would_have_got_alone(asked: list[Any]) -> None:
    async def together() -> list[list[float]]:
        batching = Batching(Model(), SIGNATURE, Settings(batch_rows=5))
        found = await asyncio.gather(*(batching.ask(one) for one in framed(asked)))
        return [columns["y"].tolist() for columns in found]

    alone = Model()
    expected = [alone.answer(merged([one], SIGNATURE))["y"].tolist() for one in framed(asked)]
    assert asyncio.run(together()) == expected


async def test_what_comes_while_a_run_is_under_way_shares_the_next() -> None:
    model = Model()
    batching = Batching(model, SIGNATURE, Settings(batch_rows=4))
    await asyncio.gather(*(batching.ask((float(one), one, "")) for one in range(10)))
    assert model.runs == [1, 4, 4, 1]


async def test_a_lone_row_is_answered_without_waiting_for_anybody() -> None:
    batching = Batching(Model(), SIGNATURE, Settings())
    asking = batching.ask((1.0, 2, ""))
    with pytest.raises(StopIteration) as over:  # it never gives the loop back
        asking.send(None)
    assert over.value.value["y"].tolist() == [3.0]


@pytest.mark.parametrize("threaded", [False, True])
async def test_a_bad_request_fails_alone(threaded: bool) -> None:
    batching = Batching(Model(), SIGNATURE, Settings(), threaded)
    rows = [(float("nan") if one == 3 else float(one), one, "") for one in range(6)]
    found = await asyncio.gather(*(batching.ask(row) for row in rows), return_exceptions=True)
    assert isinstance(found[3], ModelFailed)
    right = [one["y"].tolist() for one in found if isinstance(one, dict)]
    assert right == [[2.0 * one] for one in range(6) if one != 3]


async def test_who_leaves_takes_nobody_along() -> None:
    model = Model()
    batching = Batching(model, SIGNATURE, Settings(batch_wait_seconds=0.001))
    leaving, staying = (asyncio.create_task(batching.ask((1.0, one, ""))) for one in (1, 2))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying)["y"].tolist() == [3.0]
    assert model.runs == [1]


async def test_more_than_may_wait_are_told_so() -> None:
    batching = Batching(Model(), SIGNATURE, Settings(batch_max_waiting=2))
    found = await asyncio.gather(*(batching.ask((1.0, 1, "")) for _ in range(5)), return_exceptions=True)
    assert [one.code for one in found if isinstance(one, Problem)] == ["overloaded"] * 2


class Leaning(Model):
    """Subtracts the mean of its rows: what a row gets depends on its neighbours."""

    def answer(self, frame: Frame) -> Columns:
        return {"y": frame.columns["x"] - frame.columns["x"].mean()}


class Single(Model):
    """Takes one row only."""

    def answer(self, frame: Frame) -> Columns:
        if frame.rows > 1:
            raise ModelFailed("one row, please")
        return super().answer(frame)


@pytest.mark.parametrize(("model", "together"), [(Model(), True), (Leaning(), False), (Single(), False)])
def test_only_models_whose_rows_are_independent_are_asked_together(model: Model, together: bool) -> None:
    assert tried(model, SIGNATURE).together is together
