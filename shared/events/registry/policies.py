"""Facts about what a stage demands."""

from typing import Literal

from shared.events.registry.parts import EvidenceKind, FlagSeverity, Part, RegistryPayload, Stage


class PolicyInput(Part):
    """A column of a policy's table: its `name` and the expression whose value its cells test (None: that name)."""

    name: str
    expression: str | None = None


class PolicyRow(Part):
    """One row of a policy's table. `when`: a unary test per input, such as `"high"`, `> 5` or `"a", "b"`; an input
    that is left out may be anything. What else is given is demanded, besides what the policy demands anyway.

    `evidence_days` and `approval_days` hold for the evidence and the approvals that this row names.
    """

    when: dict[str, str] = {}
    evidence: tuple[EvidenceKind, ...] = ()
    evidence_days: int | None = None
    approvals: tuple[str, ...] = ()
    approval_days: int | None = None
    four_eyes: bool | None = None
    goal_required: bool | None = None
    conditions_met: bool | None = None
    flags: FlagSeverity | None = None
    annotation: str = ""


class PolicyTable(Part):
    """A decision table (OMG DMN 1.5): which rows a version is held to. `hit`: all that apply, the first, or one.
    `default`: the row for a version to which no other applies (None: its gate is closed)."""

    hit: Literal["collect", "first", "unique"] = "collect"
    inputs: tuple[PolicyInput, ...]
    rows: tuple[PolicyRow, ...]
    default: PolicyRow | None = None


class PolicyPayload(RegistryPayload):
    """What a stage demands: kinds of evidence that passed, roles that approved, and whether an author may approve.

    `evidence_days`, `approval_days`: from which age they count no more. `flags`: from which severity on an open flag
    blocks. `conditions_met`: whether the conditions of approvals must have been met. `table`: what is demanded besides,
    by the risk tier and the like. `two_to_change`: whether the next change needs the word of a second person.
    `dmn`: the XML that the table was read from, `dmn_sha256` (hex) of it.
    """

    stage: Stage
    version: int
    evidence: tuple[EvidenceKind, ...]
    approvals: tuple[str, ...]
    four_eyes: bool = True
    goal_required: bool = True
    evidence_days: int | None = None
    approval_days: int | None = None
    flags: FlagSeverity | None = None
    conditions_met: bool = False
    table: PolicyTable | None = None
    two_to_change: bool = False
    dmn: str = ""
    dmn_sha256: str = ""
    comment: str = ""


class PolicyAdopted(PolicyPayload):
    """What a stage demands from now on. `proposal`, `proposed_by`: where a second person adopted what one proposed."""

    proposal: str = ""
    proposed_by: str = ""


class PolicyProposed(PolicyPayload):
    """What a stage may demand once a second person agrees. `version`: which one it would be."""

    proposal: str


class PolicyDeclined(RegistryPayload):
    """A proposed policy will not be adopted."""

    stage: Stage
    proposal: str
    comment: str = ""
