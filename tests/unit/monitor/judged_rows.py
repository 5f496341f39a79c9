"""Rows of scores and outcomes of every kind, for tests against the libraries that others use."""

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import strategies as st

from services.monitor.domain.joined import Scores
from services.monitor.domain.plan import Output
from services.monitor.domain.scored import scores_of
from shared.events import batches

START = 1_364_774_400_000_000

KINDS = ("spread", "ties", "constant", "extremes", "edges")


def scores_like(kind: str, rows: int, rng: np.random.Generator) -> np.ndarray:
    """Probabilities: spread out, few distinct ones, one, only 0 and 1, or on the edges of cells and beside them."""
    if kind == "spread":
        return rng.beta(1, 3, rows)
    if kind == "ties":
        return rng.choice([0.1, 0.25, 0.2500001, 0.7], rows)
    if kind == "constant":
        return np.full(rows, 0.4)
    if kind == "extremes":
        return rng.choice([0.0, 1.0, 5e-324, 1 - 2**-53], rows)
    edges = rng.integers(0, 1_001, rows) / 1_000
    return np.clip(np.nextafter(edges, rng.choice([-1.0, 2.0], rows)), 0, 1)


@st.composite
def binary_rows(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    """(scores, outcomes 0 or 1), of one class alone at times."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    score = scores_like(draw(st.sampled_from(KINDS)), draw(st.integers(1, 300)), rng)
    truth = draw(st.sampled_from(["by_score", "none", "all", "coin"]))
    if truth == "by_score":
        return score, (rng.random(len(score)) < score).astype(float)
    share = {"none": 0.0, "all": 1.0, "coin": 0.5}[truth]
    return score, (rng.random(len(score)) < share).astype(float)


def counted(score: np.ndarray, outcome: np.ndarray, task: Any = None, classes: tuple[str, ...] = ()) -> Scores:
    """The state of one output's scores and outcomes."""
    return scores_of(Output("p", task, classes), score, outcome, np.ones(len(score), np.int64))


def table(columns: dict[str, Any]) -> pa.RecordBatch:
    """Predictions at one time; `__` stands for the dot."""
    rows = len(next(iter(columns.values())))
    at = pa.array([START] * rows, pa.int64()).cast(batches.TIMESTAMP)
    return pa.record_batch({"at": at} | {name.replace("__", "."): column for name, column in columns.items()})
