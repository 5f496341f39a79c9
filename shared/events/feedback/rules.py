"""Business rules that raise flags by themselves."""

from shared.events.feedback.parts import Condition, FeedbackPayload, Severity
from shared.events.registry import Part


class Decision(Part):
    """One row of a decision table: where all of `when` hold, the rule is violated as `category` and `severity` say."""

    when: tuple[Condition, ...]
    category: str
    severity: Severity = "high"
    comment: str = ""


class RuleAdopted(FeedbackPayload):
    """A business rule that every prediction of a deployment is held to from now on: a decision table whose first row
    that applies counts (DMN 1.5, hit policy First). `version` counts from 1."""

    rule: str
    version: int
    deployment: str
    statement: str
    table: tuple[Decision, ...]


class RuleRetired(FeedbackPayload):
    rule: str
    reason: str
