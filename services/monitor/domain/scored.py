"""Scores against outcomes, row by row, and what they add up to by group."""

# pyright: reportUnknownMemberType=false

from dataclasses import dataclass

import numpy as np

from services.monitor.domain import exact, spread
from services.monitor.domain.exact import Terms
from services.monitor.domain.joined import LARGEST, SCORE_CELLS, SUMS, TALLIES, Floats, Ints, Scores
from services.monitor.domain.plan import Output

EDGES = np.arange(SCORE_CELLS) / (SCORE_CELLS - 1)
"""k/1000 as the nearest double, so that `score >= k/1000` holds exactly where the score's cell is at least k."""

_NEXT = np.append(EDGES[1:], np.inf)
_CLIP = float(np.finfo(np.float64).eps)
_KINDS = 1 << (len(TALLIES) - 1)
_OF_KIND = np.arange(_KINDS)[:, None] >> np.arange(len(TALLIES) - 1) & 1
"""[kinds, tallies]: whether rows of a kind count for a tally."""


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


@dataclass(frozen=True, slots=True)
class Cases:
    """What each row adds to the state.

    `kinds`: bit n of a row is set where it counts for TALLIES[n + 1]. `binary`: rows with a cell (`cell`, of those that
    came true 1,001 further); `measured`: rows with an `error`; `named`: rows with a `pair` of classes, as one number.
    `terms`: of each of SUMS that is counted its place there, the rows, and their terms.
    """

    output: Output
    weight: Ints
    kinds: Ints
    binary: Ints
    cell: Ints
    measured: Ints
    error: Floats
    named: Ints
    pair: Ints
    terms: tuple[tuple[int, Ints, Terms], ...]


def scores_of(output: Output, score: Floats, outcome: Floats, weight: Ints) -> Scores:
    """One output's scores (NaN: none; of a multiclass output the code of its class) against outcomes."""
    return whole(cases_of(output, score, outcome, weight))


def cases_of(output: Output, score: Floats, outcome: Floats, weight: Ints) -> Cases:
    """Each row by what its output was registered for. Log loss is clipped as scikit-learn's is."""
    size = len(output.classes)
    finite, yes_or_no = np.abs(outcome) <= LARGEST, (outcome == 0) | (outcome == 1)
    known = finite & (np.abs(score) <= LARGEST)
    classed = (outcome >= 0) & (outcome < size) & (outcome == np.floor(outcome))
    kinds = 1 + 2 * yes_or_no + 4 * classed + 8 * finite + 16 * known
    binary = np.flatnonzero(yes_or_no & (score >= 0) & (score <= 1) & (output.task in (None, "binary")))
    measured = np.flatnonzero(known & (output.task in (None, "regression")))
    named = np.flatnonzero(classed & (score >= 0) & (output.task == "multiclass"))
    came, error = outcome[binary], score[measured] - outcome[measured]
    terms = [(binary, one) for one in _binary_terms(score[binary], came)]
    terms += [(measured, one) for one in _error_terms(error, outcome[measured])]
    return Cases(
        output,
        weight,
        kinds.astype(np.int64),
        binary,
        cells_in(score[binary]) + SCORE_CELLS * (came == 1),
        measured,
        error,
        named,
        score[named].astype(np.int64) * size + outcome[named].astype(np.int64),
        tuple((at, rows, exact.terms(one, weight[rows])) for at, (rows, one) in enumerate(terms) if len(rows)),
    )


def whole(cases: Cases) -> Scores:
    """All cases together."""
    return grouped(cases, np.zeros(len(cases.weight), np.int64), 1)[0]


def grouped(cases: Cases, codes: Ints, size: int) -> list[Scores]:
    """The cases of each group: `codes` [rows] from 0 to `size` - 1, -1 of none."""
    groups = np.where(codes < 0, size, codes)  # those of none are counted last, and dropped
    cells = np.zeros((size, 3, SCORE_CELLS), np.int64)
    counts = _counts(cases, groups[cases.binary], cases.binary, cases.cell, (size + 1, 2 * SCORE_CELLS))
    cells[:, :2] = counts[:size].reshape(size, 2, SCORE_CELLS)
    errors = spread.counted_by(cases.error, cases.weight[cases.measured], groups[cases.measured], size + 1)
    pairs = _pairs(cases, groups, size)
    sums = [[0] * len(SUMS) for _ in range(size + 1)]
    for place, rows, terms in cases.terms:
        for group, total in enumerate(exact.totals(terms, groups[rows], size + 1)):
            sums[group][place] = total
    tallies = _tallies(cases, groups, size)
    return [Scores(tallies[at], cells[at], errors[at], pairs[at], tuple(sums[at])) for at in range(size)]


def _binary_terms(score: Floats, outcome: Floats) -> tuple[Floats, ...]:
    squared = (score - outcome) ** 2
    loss = -np.log(np.clip(np.where(outcome == 1, score, 1 - score), _CLIP, 1 - _CLIP))
    return squared, squared**2, loss, loss**2


def _error_terms(error: Floats, outcome: Floats) -> tuple[Floats, ...]:
    squared = error**2
    return error, np.abs(error), squared, squared**2, outcome, outcome**2


def _counts(cases: Cases, groups: Ints, rows: Ints, places: Ints, shape: tuple[int, int]) -> Ints:
    """[groups, places] how often each place comes in the groups of these rows, by weight."""
    found = np.bincount(groups * shape[1] + places, cases.weight[rows], shape[0] * shape[1])
    return found.astype(np.int64).reshape(shape)


def _tallies(cases: Cases, groups: Ints, size: int) -> Ints:
    found = np.zeros((size + 1, len(TALLIES)), np.int64)
    found[:, 1:] = _counts(cases, groups, np.arange(len(groups)), cases.kinds, (size + 1, _KINDS)) @ _OF_KIND
    return found


def _pairs(cases: Cases, groups: Ints, size: int) -> list[dict[tuple[int, int], int]]:
    classes = len(cases.output.classes)
    found: list[dict[tuple[int, int], int]] = [{} for _ in range(size + 1)]
    if len(cases.named):
        counts = _counts(cases, groups[cases.named], cases.named, cases.pair, (size + 1, classes**2))
        for group, pair in zip(*(one.tolist() for one in np.nonzero(counts)), strict=True):
            found[group][pair // classes, pair % classes] = int(counts[group, pair])
    return found
