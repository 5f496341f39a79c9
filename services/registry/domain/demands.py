"""What a policy demands of one version: always, and by the rows of its table that apply. The stricter wins."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.registry.domain.decision_table import Unclear, rows_for
from services.registry.domain.model_state import ModelState, VersionState
from shared.events.registry import FlagSeverity, PolicyPayload, PolicyRow

SEVERITIES: tuple[FlagSeverity, ...] = ("low", "medium", "high", "critical")
KNOWN = (
    *("model", "owner", "risk_tier", "technique", "goal", "framework", "task", "branch", "classes", "protected"),
    *("training_data", "params", "metrics", "tags", "external"),
)
"""What the inputs of a table may speak of."""


@dataclass(slots=True)
class Demands:
    """`evidence` and `approvals`: by kind and role the age in days from which they count no more (None: never).

    `unclear`: why the table could not tell."""

    evidence: dict[str, int | None] = field(default_factory=dict[str, "int | None"])
    approvals: dict[str, int | None] = field(default_factory=dict[str, "int | None"])
    four_eyes: bool = False
    goal_required: bool = False
    conditions_met: bool = False
    flags: FlagSeverity | None = None
    unclear: str | None = None


def demands_of(policy: PolicyPayload, model: ModelState, version: VersionState) -> Demands:
    """Everything that the policy demands of this version."""
    found = Demands()
    _add(found, policy)
    if policy.table is not None:
        try:
            for row in rows_for(policy.table, facts_of(model, version)):
                _add(found, row)
        except Unclear as error:
            found.unclear = str(error)
    return found


def facts_of(model: ModelState, version: VersionState) -> Mapping[str, Any]:
    """What a table knows of a version, by the names in KNOWN."""
    about, stated = model.registered, version.registered
    return {
        "model": stated.model,
        "owner": about.owner if about else None,
        "risk_tier": about.risk_tier if about else None,
        "technique": about.technique if about else None,
        "goal": about.goal if about else None,
        "framework": stated.framework,
        "task": stated.task,
        "branch": stated.branch,
        "classes": len(stated.classes),
        "protected": [one.name for one in stated.protected],
        "training_data": [one.dataset for one in stated.training_data],
        "params": stated.params,
        "metrics": stated.metrics,
        "tags": dict(version.marks.tags),
        "external": stated.artifact.uri.startswith("external:"),
    }


def _add(found: Demands, more: PolicyPayload | PolicyRow) -> None:
    for kind in more.evidence:
        found.evidence[kind] = _stricter(found.evidence.get(kind), more.evidence_days)
    for role in more.approvals:
        found.approvals[role] = _stricter(found.approvals.get(role), more.approval_days)
    found.four_eyes |= bool(more.four_eyes)
    found.goal_required |= bool(more.goal_required)
    found.conditions_met |= bool(more.conditions_met)
    given = [SEVERITIES.index(one) for one in (found.flags, more.flags) if one is not None]
    found.flags = SEVERITIES[min(given)] if given else None


def _stricter(one: int | None, other: int | None) -> int | None:
    return min((days for days in (one, other) if days is not None), default=None)
