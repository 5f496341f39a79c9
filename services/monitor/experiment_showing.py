"""An experiment as the API answers it: plan, figures, segments, money, end."""

from collections.abc import Sequence
from typing import Any

from services.monitor.domain import experiment_statistics as statistics
from services.monitor.domain.experiment_judging import decided, results, sample_ratio
from services.monitor.domain.figures import figure
from services.monitor.experimenting import Measured
from services.monitor.showing import OTHERS
from shared.events.monitor import ArmResult, ExperimentStarted
from shared.log.tables import Row

METHOD = (
    "Mixture sequential probability ratio test of the difference of mean costs, two-sided, level shared by the "
    "treatments (Bonferroni); intervals and p-values are valid whenever they are looked at. The unit is the prediction."
)


def summary(row: Row) -> dict[str, Any]:
    """An experiment in a list."""
    names = ("experiment", "kpi", "running", "started_at", "started_by", "concluded_at", "concluded_by")
    return {name: row[name] for name in (*names, "verdict", "winner", "reason")}


def shown(
    row: Row, plan: ExperimentStarted, found: Measured, closed: Measured, breaches: Sequence[Row]
) -> dict[str, Any]:
    """One experiment with its figures of now. `closed`: of closed windows alone, since of an open one the predictions
    of one arm may come before those of the other."""
    told, ratio = results(plan, found.arms), sample_ratio(plan, closed.arms)
    so_far = decided(plan, results(plan, closed.arms), ratio)
    return {
        **summary(row),
        "deployment": row["deployment"],
        "plan": row["plan"],
        "cases": sum(one.cases for one in told),
        "arms": [_arm(plan, one, told) for one in told],
        "sample_ratio": {"p_value": ratio, "mismatch": ratio < statistics.RATIO_LEVEL},
        "segments": _segments(plan, found),
        "guardrails": [
            {name: one[name] for name in ("version", "guardrail", "value", "limit", "unit", "cases", "at")}
            for one in breaches
        ],
        "decided": None if so_far is None else so_far._asdict(),
        "conclusion": row["conclusion"],
        "method": METHOD,
    }


def _arm(plan: ExperimentStarted, one: ArmResult, told: Sequence[ArmResult]) -> dict[str, Any]:
    item = one.model_dump()
    item["role"] = "control" if one.version == plan.control.version else "treatment"
    return item | {"money": _money(plan, one, told)}


def _money(plan: ExperimentStarted, one: ArmResult, told: Sequence[ArmResult]) -> dict[str, Any] | None:
    """What the treatment cost more (less, if negative) than the control would have: in its own cases, and had it got
    all the cases of the experiment; each with its interval, in the KPI's unit."""
    if one.difference is None or one.low is None or one.high is None:
        return None
    cases = {"so_far": one.cases, "if_all": sum(arm.cases for arm in told)}
    return {"unit": plan.unit} | {
        name: {
            "cases": count,
            "difference": figure(one.difference * count),
            "interval": [figure(one.low * count), figure(one.high * count)],
        }
        for name, count in cases.items()
    }


def _segments(plan: ExperimentStarted, found: Measured) -> list[dict[str, Any]]:
    """The same by group; the level is shared by all groups, so that no group wins by being one of many."""
    looks = max(len(found.segments), 1)
    return [
        {
            "attribute": plan.attribute,
            "group": OTHERS if group is None else group,
            "arms": [one.model_dump() for one in results(plan, arms, looks)],
        }
        for group, arms in sorted(found.segments.items(), key=lambda pair: (pair[0] is None, pair[0] or ""))
    ]
