"""Record batches of predictions, and the outcomes told of their rows, into the state of scores, column by column."""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from services.monitor.domain import exact, spread
from services.monitor.domain.joined import (
    LARGEST,
    PREDICTED,
    SCORE_CELLS,
    SUMS,
    Floats,
    Ints,
    Joined,
    Part,
    Scores,
    kept_groups,
)
from services.monitor.domain.plan import Grouping, Output, Plan
from shared.events import batches

EDGES = np.arange(SCORE_CELLS) / (SCORE_CELLS - 1)
"""k/1000 as the nearest double, so that `score >= k/1000` holds exactly where the score's cell is at least k."""

_NEXT = np.append(EDGES[1:], np.inf)
_CLIP = float(np.finfo(np.float64).eps)
_OTHER = "\0"
"""Stands in codes for all groups beyond the limit; no text of a caller holds it."""

_Slices = list[tuple[str, list[str], Ints]]


def predicted_of(batch: pa.RecordBatch, plan: Plan) -> Joined:
    """What a batch of predictions adds before anything is known of its outcomes."""
    slices = list(_slices(batch, plan))
    parts: dict[Part, Scores] = {}
    for output in _outputs(batch, plan):
        cell = _score_cells(batch, output)
        parts[Part(output.name)] = _predicted(batch.num_rows, _counted(cell, SCORE_CELLS))
        for attribute, names, codes in slices:
            rows = _counted(codes, len(names))
            chosen = codes * SCORE_CELLS + cell
            chosen[(codes < 0) | (cell < 0)] = -1
            cells = _counted(chosen, len(names) * SCORE_CELLS).reshape(-1, SCORE_CELLS)
            for place, name in enumerate(names):
                parts[_part(output, attribute, name)] = _predicted(int(rows[place]), cells[place])
    return Joined(0, parts, plan.limit)


def told_of(batch: pa.RecordBatch, plan: Plan, outcomes: Floats, weights: Ints) -> Joined:
    """What these outcomes [rows] add to their predictions (weight 1) and take back (weight -1)."""
    slices = list(_slices(batch, plan))
    parts: dict[Part, Scores] = {}
    for output in _outputs(batch, plan):
        score = _values(batch, output)
        parts[Part(output.name)] = scores_of(output, score, outcomes, weights)
        for attribute, names, codes in slices:
            for place, name in enumerate(names):
                rows = codes == place
                parts[_part(output, attribute, name)] = scores_of(output, score[rows], outcomes[rows], weights[rows])
    return Joined(int(weights.sum()), parts, plan.limit)


def scores_of(output: Output, score: Floats, outcome: Floats, weight: Ints) -> Scores:
    """One output's scores (NaN: none; of a multiclass output the code of its class) against outcomes.

    Log loss is clipped as scikit-learn's is.
    """
    finite = np.abs(outcome) <= LARGEST
    yes_or_no = (outcome == 0) | (outcome == 1)
    known = finite & (np.abs(score) <= LARGEST)
    classed = (outcome >= 0) & (outcome < len(output.classes)) & (outcome == np.floor(outcome))
    chosen = (weight, weight[yes_or_no], weight[classed], weight[finite], weight[known])
    tallies = np.array([0, *(int(some.sum()) for some in chosen)], np.int64)
    if output.task == "multiclass":
        fits = classed & (score >= 0)
        return Scores(tallies, pairs=_pairs(len(output.classes), score[fits], outcome[fits], weight[fits]))
    cells, sums = np.zeros((3, SCORE_CELLS), np.int64), [0] * len(SUMS)
    if output.task != "regression":
        fits = yes_or_no & (score >= 0) & (score <= 1)
        cells[:2], sums[:4] = _binary(score[fits], outcome[fits], weight[fits])
    errors: dict[int, int] = {}
    if output.task != "binary":
        errors, sums[4:] = _regression(score[known], outcome[known], weight[known])
    return Scores(tallies, cells, errors, sums=tuple(sums))


def cells_in(score: Floats) -> Ints:
    """The cell of each score in [0, 1], -1 of any other."""
    inside = (score >= 0) & (score <= 1)
    whole = bool(inside.all())
    held = score if whole else np.where(inside, score, 0.0)
    cell = (held * (SCORE_CELLS - 1)).astype(np.int64)
    cell += _NEXT[cell] <= held  # one multiplication may fall on either side of an edge
    cell -= EDGES[cell] > held
    if not whole:
        cell[~inside] = -1
    return cell


def _binary(score: Floats, outcome: Floats, weight: Ints) -> tuple[Ints, list[int]]:
    counts = np.zeros(2 * SCORE_CELLS, np.int64)
    np.add.at(counts, cells_in(score) + SCORE_CELLS * (outcome == 1), weight)
    squared = (score - outcome) ** 2
    loss = -np.log(np.clip(np.where(outcome == 1, score, 1 - score), _CLIP, 1 - _CLIP))
    terms = (squared, squared**2, loss, loss**2)
    return counts.reshape(2, SCORE_CELLS), [exact.total(term, weight) for term in terms]


def _regression(score: Floats, outcome: Floats, weight: Ints) -> tuple[dict[int, int], list[int]]:
    error = score - outcome
    squared = error**2
    terms = (error, np.abs(error), squared, squared**2, outcome, outcome**2)
    return spread.counted(error, weight), [exact.total(term, weight) for term in terms]


def _pairs(size: int, score: Floats, outcome: Floats, weight: Ints) -> dict[tuple[int, int], int]:
    places = score.astype(np.int64) * size + outcome.astype(np.int64)
    counts = np.zeros(size * size, np.int64)
    np.add.at(counts, places, weight)
    return {(int(place) // size, int(place) % size): int(counts[place]) for place in np.flatnonzero(counts)}


def _predicted(rows: int, cells: Ints) -> Scores:
    scores = Scores()
    scores.tallies[0] = rows
    scores.cells[PREDICTED] = cells
    return scores


def _counted(codes: Ints, size: int) -> Ints:
    """How often each code from 0 comes; negative ones stand for nothing."""
    known = codes if not len(codes) or codes.min() >= 0 else codes[codes >= 0]
    return np.bincount(known, minlength=size)


def _outputs(batch: pa.RecordBatch, plan: Plan) -> list[Output]:
    there = set(batch.schema.names)
    if plan.outputs:
        return [output for output in plan.outputs if batches.OUTPUT + output.name in there]
    fields = sorted((one.name, one.type) for one in batch.schema if one.name.startswith(batches.OUTPUT))
    return [Output(name.removeprefix(batches.OUTPUT)) for name, kind in fields if _is_number(kind)]


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_floating(kind) or pa.types.is_integer(kind)


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


def _slices(batch: pa.RecordBatch, plan: Plan) -> Iterator[tuple[str, list[str], Ints]]:
    """(attribute, names of its groups, code of each row's group or -1) of every grouping that the batch has."""
    for grouping in plan.groupings:
        if grouping.column not in batch.schema.names:
            continue
        column: Any = batch.column(grouping.column)
        named = _banded(column, grouping) if grouping.edges else _named(column)
        if named is not None:
            yield grouping.attribute, *_limited(*named, plan.limit)


def _named(column: Any) -> tuple[list[str], Ints] | None:
    if pa.types.is_floating(column.type):
        return None  # a measured number has no names; its bands need edges
    if not pa.types.is_string(column.type):
        column = column.cast(pa.string())
    coded = column.dictionary_encode()
    return coded.dictionary.to_pylist(), pc.fill_null(coded.indices, -1).cast(pa.int64()).to_numpy().copy()


def _banded(column: Any, grouping: Grouping) -> tuple[list[str], Ints] | None:
    if not _is_number(column.type):
        return None
    values = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    codes = np.searchsorted(np.array(grouping.edges), values, side="right")
    return bands(grouping.edges), np.where(np.isnan(values), -1, codes)


def bands(edges: Sequence[float]) -> list[str]:
    """The names of the bands between edges: `<a`, `a..<b` (a included, b not), `>=b`."""
    first, last = f"<{edges[0]:g}", f">={edges[-1]:g}"
    return [first, *(f"{a:g}..<{b:g}" for a, b in pairwise(edges)), last]


def _limited(names: list[str], codes: Ints, limit: int) -> tuple[list[str], Ints]:
    """The groups that rows fall into, those beyond the limit as one."""
    present = np.flatnonzero(_counted(codes, len(names)))
    kept = sorted(names[place] for place in present)
    if len(kept) > limit:
        kept = [*sorted(kept_groups(kept, limit)), _OTHER]
    places = {name: place for place, name in enumerate(kept)}
    other = places.get(_OTHER, -1)
    moved = np.array([*(places.get(name, other) for name in names), -1], np.int64)
    return kept, moved[codes]


def _part(output: Output, attribute: str, name: str) -> Part:
    return Part(output.name, attribute, None if name == _OTHER else name)


def joined_of(names: Sequence[str], scores: Floats, outcomes: Floats, weights: NDArray[np.int64]) -> Joined:
    """Of outputs of which nothing is registered: `scores` [columns, rows] against `outcomes` [rows]."""
    found = {
        Part(name): scores_of(Output(name), score, outcomes, weights) for name, score in zip(names, scores, strict=True)
    }
    return Joined(int(weights.sum()), found)
