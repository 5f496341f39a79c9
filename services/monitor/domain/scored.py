"""Scores against outcomes, row by row, and what they add up to by group."""

# pyright: reportUnknownMemberType=false

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain import exact, spread
from services.monitor.domain.joined import LARGEST, SCORE_CELLS, SUMS, TALLIES, Floats, Ints, Scores
from services.monitor.domain.plan import Output

EDGES = np.arange(SCORE_CELLS) / (SCORE_CELLS - 1)
"""k/1000 as the nearest double, so that `score >= k/1000` holds exactly where the score's cell is at least k."""

_NEXT = np.append(EDGES[1:], np.inf)
_CLIP = float(np.finfo(np.float64).eps)


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


def scores_of(output: Output, score: Floats, outcome: Floats, weight: Ints) -> Scores:
    """One output's scores (NaN: none; of a multiclass output the code of its class) against outcomes."""
    return whole(cases_of(output, score, outcome, weight))


@dataclass(frozen=True, slots=True)
class Cases:
    """What each row adds to the state.

    `tallied`: which rows count for each of TALLIES but the first; `binary`: rows with a cell (`cell`, of those that
    came true 1,001 further); `terms`: (first of SUMS, rows, values of each term).
    """

    output: Output
    weight: Ints
    tallied: tuple[NDArray[np.bool_], ...]
    binary: Ints
    cell: Ints
    known: Ints
    errors: Floats
    classed: Ints
    pair: Ints
    terms: tuple[tuple[int, Ints, tuple[Floats, ...]], ...]


def cases_of(output: Output, score: Floats, outcome: Floats, weight: Ints) -> Cases:
    """Log loss is clipped as scikit-learn's is."""
    size = len(output.classes)
    finite, yes_or_no = np.abs(outcome) <= LARGEST, (outcome == 0) | (outcome == 1)
    known = finite & (np.abs(score) <= LARGEST)
    classed = (outcome >= 0) & (outcome < size) & (outcome == np.floor(outcome))
    tallied = (np.ones(len(outcome), np.bool_), yes_or_no, classed, finite, known)
    binary = np.flatnonzero(yes_or_no & (score >= 0) & (score <= 1) & (output.task in (None, "binary")))
    measured = np.flatnonzero(known & (output.task in (None, "regression")))
    named = np.flatnonzero(classed & (score >= 0) & (output.task == "multiclass"))
    came, error = outcome[binary], score[measured] - outcome[measured]
    return Cases(
        output,
        weight,
        tallied,
        binary,
        cells_in(score[binary]) + SCORE_CELLS * (came == 1),
        measured,
        error,
        named,
        score[named].astype(np.int64) * size + outcome[named].astype(np.int64),
        ((0, binary, _binary_terms(score[binary], came)), (4, measured, _error_terms(error, outcome[measured]))),
    )


def _binary_terms(score: Floats, outcome: Floats) -> tuple[Floats, ...]:
    squared = (score - outcome) ** 2
    loss = -np.log(np.clip(np.where(outcome == 1, score, 1 - score), _CLIP, 1 - _CLIP))
    return squared, squared**2, loss, loss**2


def _error_terms(error: Floats, outcome: Floats) -> tuple[Floats, ...]:
    squared = error**2
    return error, np.abs(error), squared, squared**2, outcome, outcome**2


def whole(cases: Cases) -> Scores:
    """All cases together."""
    return grouped(cases, np.zeros(len(cases.weight), np.int64), 1)[0]


def grouped(cases: Cases, codes: Ints, size: int) -> list[Scores]:
    """The cases of each group: `codes` [rows] from 0 to `size` - 1, -1 of none."""

    def rows_in(rows: Ints) -> tuple[Ints, Ints, Ints]:
        """(places in `rows`, their groups, their weights) of the rows that belong to a group."""
        kept = np.flatnonzero(codes[rows] >= 0)
        return kept, codes[rows[kept]], cases.weight[rows[kept]]

    tallies = np.zeros((size, len(TALLIES)), np.int64)
    for place, chosen in enumerate(cases.tallied, 1):
        _, groups, weights = rows_in(np.flatnonzero(chosen))
        tallies[:, place] = np.bincount(groups, weights, size)
    cells = np.zeros((size, 3, SCORE_CELLS), np.int64)
    kept, groups, weights = rows_in(cases.binary)
    counts = np.bincount(groups * 2 * SCORE_CELLS + cases.cell[kept], weights, size * 2 * SCORE_CELLS)
    cells[:, :2] = counts.reshape(size, 2, SCORE_CELLS)
    kept, groups, weights = rows_in(cases.known)
    errors = spread.counted_by(cases.errors[kept], weights, groups, size)
    pairs = _pairs(cases, *rows_in(cases.classed), size)
    sums = [[0] * len(SUMS) for _ in range(size)]
    for first, rows, terms in cases.terms:
        kept, groups, weights = rows_in(rows)
        for place, term in enumerate(terms, first):
            for group, total in enumerate(exact.totals(term[kept], weights, groups, size)):
                sums[group][place] = total
    return [Scores(tallies[at], cells[at], errors[at], pairs[at], tuple(sums[at])) for at in range(size)]


def _pairs(cases: Cases, kept: Ints, groups: Ints, weights: Ints, size: int) -> list[dict[tuple[int, int], int]]:
    classes = len(cases.output.classes)
    found: list[dict[tuple[int, int], int]] = [{} for _ in range(size)]
    counts = np.bincount(groups * classes**2 + cases.pair[kept], weights, size * classes**2) if len(kept) else None
    for place in () if counts is None else np.flatnonzero(counts).tolist():
        group, pair = divmod(place, classes**2)
        found[group][divmod(pair, classes)] = int(counts[place])  # type: ignore[index]
    return found
