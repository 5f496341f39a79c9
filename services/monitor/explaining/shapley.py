"""Shapley values of one prediction against rows of the reference, with `shap`.

shap knows numbers alone. So each row is told as the places of its values in a table of them, and the model's side turns
places back into values: text, missing values and whole numbers reach the model as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any, cast

import numpy as np
from shap.explainers import ExactExplainer, PermutationExplainer
from shap.maskers import Independent

from shared.models.frames import Columns, Frame

EXACT_FEATURES = 10
PERMUTATIONS = 10
MIN_BACKGROUND = 10

Answer = Callable[[Frame], np.ndarray]
"""The model's output [n] for the rows of a frame."""


class TooSlow(Exception):
    """The model did not answer all questions in time."""


class TooWide(Exception):
    """Even few rows of the reference would ask more of the model than is allowed."""


@dataclass(frozen=True, slots=True)
class Shapley:
    """`base` + the sum of `values` = `answer`. `background`: the model's outputs for the reference rows used."""

    base: float
    answer: float
    values: dict[str, float]
    background: np.ndarray
    method: str
    evaluations: int


def explain(answer: Answer, row: Columns, background: Columns, seed: int, evaluations: int, seconds: float) -> Shapley:
    """The contributions of each feature of `row` [1] against `background` [n], the same for the same arguments.

    Exact for up to EXACT_FEATURES features (all coalitions), else by sampled permutations forward and backward (Castro
    et al. 2009, doi:10.1016/j.cor.2008.04.004), PERMUTATIONS or as many as `evaluations` rows allow. Raises TooSlow,
    TooWide.
    """
    names = list(row)
    exact = len(names) <= EXACT_FEATURES
    masks = 2 ** len(names) if exact else 2 * len(names) + 1
    rows = min(_length(background), max(MIN_BACKGROUND, evaluations // masks))
    if rows * masks > evaluations:
        raise TooWide(f"{len(names)} features against {rows} reference rows are {rows * masks} questions")
    background = {name: column[_spread(len(column), rows)] for name, column in background.items()}
    asked = _Asked(answer, [np.concatenate([row[name], background[name]]) for name in names], names, seconds)
    one, codes = np.zeros((1, len(names))), asked.codes()
    masker = Independent(codes, max_samples=rows)
    found: Any
    if exact:
        method = "exact Shapley values"
        found = cast(Any, ExactExplainer(asked, masker))(one, max_evals=masks, silent=True)
    else:
        permutations = max(1, min(PERMUTATIONS, evaluations // (rows * masks)))
        method = f"Shapley values of {permutations} sampled permutations"
        explainer = cast(Any, PermutationExplainer(asked, masker, seed=seed))
        found = explainer(one, max_evals=permutations * masks, silent=True)
    return Shapley(
        float(np.ravel(found.base_values)[0]),
        float(asked(one)[0]),
        dict(zip(names, (float(value) for value in found.values[0]), strict=True)),
        asked(codes),
        method,
        asked.count,
    )


class _Asked:
    """The model as shap sees it: rows of places in, numbers out. `tables`: per feature the explained row's value, then
    those of the reference."""

    def __init__(self, answer: Answer, tables: list[np.ndarray], names: list[str], seconds: float) -> None:
        self.answer, self.tables, self.names = answer, tables, names
        self.until, self.count = monotonic() + seconds, 0

    def codes(self) -> np.ndarray:
        """The reference's rows; a value equal to the explained row's has its place, so that it is known not to vary."""
        return np.column_stack([np.where(_same(table), 0.0, np.arange(len(table)))[1:] for table in self.tables])

    def __call__(self, places: Any) -> np.ndarray:
        if monotonic() > self.until:
            raise TooSlow(f"after {self.count} questions")
        chosen = np.asarray(places).astype(np.int64)
        self.count += len(chosen)
        columns = {
            name: table[chosen[:, at]] for at, (name, table) in enumerate(zip(self.names, self.tables, strict=True))
        }
        return np.asarray(self.answer(Frame(len(chosen), columns)), np.float64)


def _same(table: np.ndarray) -> np.ndarray:
    equal = table == table[0]
    if table.dtype.kind == "f":
        equal = equal | (np.isnan(table) & np.isnan(table[0]))
    return np.asarray(equal, bool)


def _length(columns: Columns) -> int:
    return len(next(iter(columns.values())))


def _spread(length: int, rows: int) -> np.ndarray:
    return np.arange(rows) * length // rows
