"""Each kind of test: what it measures on a model's answers, and whether that is as was declared."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from sklearn import metrics as sk

from muniment.packaging.bundle import SIGNATURE, Bundle
from muniment.packaging.sample import as_frame
from muniment.packaging.sources import CannotPackage
from muniment.testing.declared import (
    LOWER_IS_BETTER,
    ChampionTest,
    DirectionTest,
    InvarianceTest,
    LatencyTest,
    MemoryTest,
    MetricTest,
)
from shared.events.registry import Signature
from shared.models.onnx import Model

_sk: Any = sk
_SCORED: Mapping[str, Callable[[Any, Any], float]] = {
    "auc": _sk.roc_auc_score,
    "brier": _sk.brier_score_loss,
    "log_loss": lambda truth, score: _sk.log_loss(truth, score, labels=[0, 1]),
    "mae": _sk.mean_absolute_error,
    "rmse": _sk.root_mean_squared_error,
    "r2": _sk.r2_score,
}
_LABELLED: Mapping[str, Callable[[Any, Any], float]] = {
    "accuracy": _sk.accuracy_score,
    "precision": lambda truth, said: _sk.precision_score(truth, said, zero_division=0),
    "recall": lambda truth, said: _sk.recall_score(truth, said, zero_division=0),
    "f1": lambda truth, said: _sk.f1_score(truth, said, zero_division=0),
}


@dataclass(frozen=True, slots=True)
class Found:
    """How a test fell out. `figures`: what is recorded as metrics; `reason` for people."""

    name: str
    evidence: str
    passed: bool
    reason: str
    figures: dict[str, float] = field(default_factory=dict)


class Subject:
    """A bundle's model with its signature, ready to answer tables."""

    def __init__(self, bundle: Bundle) -> None:
        self.inputs: list[dict[str, str]] = bundle.json(SIGNATURE)["inputs"]
        self.outputs: list[dict[str, str]] = bundle.json(SIGNATURE)["outputs"]
        self.model = Model(bundle.model, Signature.model_validate(bundle.json(SIGNATURE)))

    def answers(self, table: pd.DataFrame, output: str | None) -> np.ndarray:
        """One output [rows]; the last numeric one where none is named. Raises CannotPackage."""
        columns = self.model.answer(as_frame(table, self.inputs))
        numbers = [one["name"] for one in self.outputs if one["type"] != "string"] or list(columns)
        name = output or numbers[-1]
        if name not in columns:
            raise CannotPackage(f"The model has no output '{name}'; it has {', '.join(columns)}.")
        return columns[name]


def metric(test: MetricTest, subject: Subject, table: pd.DataFrame) -> Found:
    """On the whole, and on every group of every slice."""
    whole = measured(test, subject, table)
    figures = {test.metric: whole, "rows": float(len(table))}
    failed = [] if _within(test, whole) else [f"{test.metric} is {whole:.4g}"]
    for column in test.slices:
        if column not in table:
            raise CannotPackage(f"The data set '{test.dataset}' has no column '{column}' to slice by.")
        for value, group in table.groupby(column, sort=True):
            if len(group) < test.min_rows:
                continue
            found = measured(test, subject, group)
            figures[f"{test.metric}[{column}={value}]"] = found
            if not _within(test, found):
                failed.append(f"{test.metric} where {column} is {value} is {found:.4g}")
    bound = f"at least {test.at_least:g}" if test.at_least is not None else f"at most {test.at_most:g}"
    groups = len(figures) - 2
    reason = "; ".join(failed) if failed else f"{test.metric} is {whole:.4g}, in all of {groups} groups as well"
    return Found(test.name, test.evidence, not failed, f"{reason} ({bound} is asked for).", _finite(figures))


def champion(test: ChampionTest, subject: Subject, table: pd.DataFrame, other: Subject | None) -> Found:
    """Against the champion on the same rows; without a champion there is nothing to be worse than."""
    mine = measured(test, subject, table)
    if other is None:
        return Found(test.name, test.evidence, True, "There is no champion yet.", _finite({test.metric: mine}))
    theirs = measured(test, other, table)
    worse = (mine - theirs) if test.metric in LOWER_IS_BETTER else (theirs - mine)
    passed = bool(worse <= test.by)
    reason = (
        f"{test.metric} is {mine:.4g}, the champion's {theirs:.4g}: worse by {max(worse, 0.0):.4g}, at most {test.by:g}"
    )
    figures = {test.metric: mine, f"champion_{test.metric}": theirs, "worse_by": worse}
    return Found(test.name, test.evidence, passed, f"{reason} is allowed.", _finite(figures))


def invariance(test: InvarianceTest, subject: Subject, table: pd.DataFrame) -> Found:
    """How far answers move while one feature takes other values."""
    _known(test.feature, subject)
    before = subject.answers(table, test.output).astype(float)
    moved = np.zeros(len(table))
    for value in test.values:
        after = subject.answers(table.assign(**{test.feature: value}), test.output).astype(float)
        moved = np.maximum(moved, np.abs(after - before))
    share = float(np.mean(moved <= test.tolerance)) if len(moved) else 1.0
    figures = {"share": share, "largest_change": float(moved.max(initial=0.0))}
    reason = f"{share:.1%} of {len(table)} rows stay within {test.tolerance:g} while {test.feature} changes"
    return Found(test.name, test.evidence, share >= test.share, f"{reason} ({test.share:.1%} are asked for).", figures)


def direction(test: DirectionTest, subject: Subject, table: pd.DataFrame) -> Found:
    """Whether answers go the way that is expected while one feature grows."""
    _known(test.feature, subject)
    before = subject.answers(table, test.output).astype(float)
    after = subject.answers(table.assign(**{test.feature: table[test.feature] + test.by}), test.output).astype(float)
    change = after - before if test.expect == "up" else before - after
    share = float(np.mean(change >= -test.tolerance)) if len(change) else 1.0
    figures = {"share": share, "mean_change": float((after - before).mean()) if len(change) else 0.0}
    reason = f"{share:.1%} of {len(table)} rows go {test.expect}, or stay, when {test.feature} grows by {test.by:g}"
    return Found(test.name, test.evidence, share >= test.share, f"{reason} ({test.share:.1%} are asked for).", figures)


def latency(test: LatencyTest, subject: Subject, table: pd.DataFrame) -> Found:
    """Wall time of answers one after another, the first tenth left out as warm-up."""
    frame = as_frame(table.head(test.rows), subject.inputs)
    times: list[float] = []
    for _ in range(test.repeats + test.repeats // 10):
        start = time.perf_counter()
        subject.model.answer(frame)
        times.append((time.perf_counter() - start) * 1000)
    p50, p95 = np.percentile(times[test.repeats // 10 :], [50, 95])
    figures = {"p50_ms": float(p50), "p95_ms": float(p95), "rows": float(frame.rows)}
    reason = f"95 of 100 answers to {frame.rows} rows take {p95:.3g} ms or less ({test.p95_ms:g} ms are asked for)."
    return Found(test.name, test.evidence, bool(p95 <= test.p95_ms), reason, figures)


def memory(test: MemoryTest, mib: float) -> Found:
    """What was measured in a process of its own."""
    reason = f"A process grows by {mib:.1f} MiB with the model ({test.at_most_mib:g} MiB are asked for)."
    return Found(test.name, test.evidence, mib <= test.at_most_mib, reason, {"mib": mib})


def measured(test: MetricTest | ChampionTest, subject: Subject, table: pd.DataFrame) -> float:
    """A metric against the label's column. Raises CannotPackage where it cannot be told of these rows."""
    if test.label not in table:
        raise CannotPackage(f"The data set '{test.dataset}' has no column '{test.label}'.")
    known: Any = table[table[test.label].notna()]
    truth, answers = known[test.label].to_numpy(), subject.answers(known, test.output)
    try:
        if test.metric in _SCORED:
            return float(_SCORED[test.metric](truth.astype(float), answers.astype(float)))
        said = answers if answers.dtype.kind not in "f" else (answers >= test.threshold).astype(int)
        return float(_LABELLED[test.metric](truth.astype(said.dtype), said))
    except ValueError as error:
        raise CannotPackage(
            f"{test.metric} cannot be told of {len(known)} rows of '{test.dataset}': {error}"
        ) from error


def _within(test: MetricTest, found: float) -> bool:
    return (test.at_least is None or found >= test.at_least) and (test.at_most is None or found <= test.at_most)


def _known(feature: str, subject: Subject) -> None:
    names = [one["name"] for one in subject.inputs]
    if feature not in names:
        raise CannotPackage(f"The model has no feature '{feature}'; it has {', '.join(names)}.")


def _finite(figures: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in figures.items() if np.isfinite(value)}
