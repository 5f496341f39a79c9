"""How well predictions met their outcomes: one room per kind of problem, from the state of scores alone."""

from collections.abc import Sequence

from services.monitor.domain.joined import Joined, Part, Scores
from services.monitor.domain.plan import Known
from services.monitor.domain.quality.binary import Confusion, auc, binary, calibration, confusion, threshold_cell
from services.monitor.domain.quality.estimate import calibrates, chances, estimated, estimated_intervals
from services.monitor.domain.quality.multiclass import multiclass, per_class
from services.monitor.domain.quality.regression import regression
from services.monitor.domain.quality.said import Quality

__all__ = [
    "NONE",
    "Confusion",
    "Quality",
    "auc",
    "calibrates",
    "calibration",
    "chances",
    "confusion",
    "estimated",
    "estimated_intervals",
    "per_class",
    "quality",
    "scores_of_part",
    "threshold_cell",
]

NONE = Scores()


def quality(scores: Scores, task: Known, threshold: float, classes: Sequence[str] = ()) -> Quality:
    """The figures of one part as what its output was registered to be; without figures where nothing is joined yet."""
    if task == "multiclass":
        return multiclass(scores, classes)
    return binary(scores, threshold) if task == "binary" else regression(scores)


def scores_of_part(joined: Joined, column: str | None, attribute: str = "", group: str | None = "") -> Scores:
    """What is counted of a part; nothing where it is unknown."""
    return joined.parts.get(Part(column or "", attribute, group), NONE)
