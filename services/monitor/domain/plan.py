"""What of a version's predictions is counted against outcomes: which outputs, as what kind of problem, by which groups.

It follows from what was registered alone, never from the outcomes that come, so that no outcome can change it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from services.monitor.domain.joined import MAX_GROUPS
from shared.events.batches import FEATURE
from shared.events.registry import Formula, Protected, Signature, Task

Known = Literal["binary", "multiclass", "regression"]

SEGMENT = "segment"
_RATES = ("precision", "recall", "specificity", "base_rate", "selection_rate", "accuracy", "balanced_accuracy", "f1")
_ERRORS = ("false_positive_rate", "false_negative_rate", "mcc")
BINARY_FIGURES = frozenset(("auc", "brier", "log_loss", "ece", *_RATES, *_ERRORS))
REGRESSION_FIGURES = frozenset(("bias", "mae", "mse", "rmse", "r2", "mean_outcome"))
_PROBABILITY = re.compile(r"(^|[_.-])(p|prob|proba|probability|score|risk|likelihood|chance|propensity)([_.-]|$)")


@dataclass(frozen=True, slots=True)
class Output:
    """One output to be counted. `task` None: registered as nothing in particular, so counted as both binary and
    regression, and read as what its KPI or name say. `classes`: of a multiclass output, in the order of their codes."""

    name: str
    task: Task | None = None
    classes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grouping:
    """Groups of rows by a column: its texts, or, with `edges`, the bands between them."""

    attribute: str
    column: str
    edges: tuple[float, ...] = ()


BY_SEGMENT = Grouping(SEGMENT, SEGMENT)


@dataclass(frozen=True, slots=True)
class Plan:
    """`outputs` empty: every number output that comes. `limit`: groups told apart per attribute."""

    outputs: tuple[Output, ...] = ()
    groupings: tuple[Grouping, ...] = (BY_SEGMENT,)
    limit: int = MAX_GROUPS

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns beside outputs that the groupings need."""
        return tuple(dict.fromkeys(grouping.column for grouping in self.groupings))

    def task(self, output: str) -> Task | None:
        """The registered task of an output."""
        return next((one.task for one in self.outputs if one.name == output), None)

    def classes(self, output: str) -> tuple[str, ...]:
        """The classes of a multiclass output, else none."""
        return next((one.classes for one in self.outputs if one.name == output), ())


def plan_of(
    signature: Signature, task: Task | None, classes: Sequence[str], protected: Sequence[Protected], limit: int
) -> Plan:
    """The plan of a registered version."""
    outputs = [_output(one.name, one.type, task, tuple(classes)) for one in signature.outputs]
    groupings = [Grouping(one.name, _column(one), one.edges) for one in protected if _column(one) != SEGMENT]
    return Plan(tuple(one for one in outputs if one is not None), (BY_SEGMENT, *groupings), limit)


def resolved(task: Task | None, output: str, formulas: Sequence[Formula], metrics: Mapping[str, float]) -> Known:
    """The kind of problem of an output: what was registered, else what the KPIs ask of it, else what the registered
    metrics and the output's name say; a number of which nothing says otherwise is an estimate of a quantity."""
    if task is not None:
        return task
    named = [one for one in formulas if one.output in (None, output)]
    if any(one.kind == "cost" or one.metric in BINARY_FIGURES for one in named):
        return "binary"
    if any(one.metric in REGRESSION_FIGURES for one in named) or metrics.keys() & REGRESSION_FIGURES:
        return "regression"
    if metrics.keys() & BINARY_FIGURES or _PROBABILITY.search(output.lower()):
        return "binary"
    return "regression"


def _output(name: str, kind: str, task: Task | None, classes: tuple[str, ...]) -> Output | None:
    """A text can only name a class; a truth value can only be one of two; a number may be anything."""
    if kind == "string":
        return Output(name, "multiclass", classes) if classes else None
    if task == "multiclass":
        return Output(name, "multiclass", classes) if kind in ("long", "boolean") and classes else None
    return Output(name, "binary" if kind == "boolean" else task)


def _column(one: Protected) -> str:
    return SEGMENT if one.feature is None else FEATURE + one.feature
