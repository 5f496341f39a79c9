"""Record batches of predictions, and the outcomes told of their rows, into the state of scores, column by column."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.monitor.domain.grouping import OTHER, counted, is_number, slices_of
from services.monitor.domain.joined import PREDICTED, SCORE_CELLS, Floats, Ints, Joined, Part, Scores
from services.monitor.domain.plan import Output, Plan
from services.monitor.domain.scored import cases_of, cells_in, grouped, scores_of, whole
from shared.events import batches


def predicted_of(batch: pa.RecordBatch, plan: Plan) -> Joined:
    """What a batch of predictions adds before anything is known of its outcomes."""
    slices = slices_of(batch, plan)
    parts: dict[Part, Scores] = {}
    for output in _outputs(batch, plan):
        cell = _score_cells(batch, output)
        parts[Part(output.name)] = _predicted(batch.num_rows, counted(cell, SCORE_CELLS))
        for attribute, names, codes in slices:
            rows = counted(codes, len(names))
            chosen = codes * SCORE_CELLS + cell
            chosen[(codes < 0) | (cell < 0)] = -1
            cells = counted(chosen, len(names) * SCORE_CELLS).reshape(-1, SCORE_CELLS)
            for place, name in enumerate(names):
                parts[_part(output, attribute, name)] = _predicted(int(rows[place]), cells[place])
    return Joined(0, parts, plan.limit)


def told_of(batch: pa.RecordBatch, plan: Plan, outcomes: Floats, weights: Ints) -> Joined:
    """What these outcomes [rows] add to their predictions (weight 1) and take back (weight -1)."""
    slices = slices_of(batch, plan)
    parts: dict[Part, Scores] = {}
    for output in _outputs(batch, plan):
        cases = cases_of(output, _values(batch, output), outcomes, weights)
        parts[Part(output.name)] = whole(cases)
        for attribute, names, codes in slices:
            for name, scores in zip(names, grouped(cases, codes, len(names)), strict=True):
                parts[_part(output, attribute, name)] = scores
    return Joined(int(weights.sum()), parts, plan.limit)


def _predicted(rows: int, cells: Ints) -> Scores:
    scores = Scores()
    scores.tallies[0] = rows
    scores.cells[PREDICTED] = cells
    return scores


def _outputs(batch: pa.RecordBatch, plan: Plan) -> list[Output]:
    there = set(batch.schema.names)
    if plan.outputs:
        return [output for output in plan.outputs if batches.OUTPUT + output.name in there]
    fields = sorted((one.name, one.type) for one in batch.schema if one.name.startswith(batches.OUTPUT))
    return [Output(name.removeprefix(batches.OUTPUT)) for name, kind in fields if is_number(kind)]


def _score_cells(batch: pa.RecordBatch, output: Output) -> Ints:
    """Of what is read as a probability or a yes or no: the cells; else -1."""
    if output.task in ("multiclass", "regression"):
        return np.full(batch.num_rows, -1, np.int64)
    return cells_in(_values(batch, output))


def _values(batch: pa.RecordBatch, output: Output) -> Floats:
    """The output as numbers: of a multiclass output the code of its class, NaN where it is none."""
    column: Any = batch.column(batches.OUTPUT + output.name)
    if output.task == "multiclass":
        column = pc.index_in(column.cast(pa.string()), pa.array(output.classes))
    if not pa.types.is_floating(column.type):
        column = column.cast(pa.float64(), safe=False)
    return column.to_numpy(zero_copy_only=False)


def _part(output: Output, attribute: str, name: str) -> Part:
    return Part(output.name, attribute, None if name == OTHER else name)


def joined_of(names: Sequence[str], scores: Floats, outcomes: Floats, weights: NDArray[np.int64]) -> Joined:
    """Of outputs of which nothing is registered: `scores` [columns, rows] against `outcomes` [rows]."""
    found = {
        Part(name): scores_of(Output(name), score, outcomes, weights) for name, score in zip(names, scores, strict=True)
    }
    return Joined(int(weights.sum()), found)
