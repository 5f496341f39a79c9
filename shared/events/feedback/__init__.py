"""Facts that only `feedback` may state: what experts and their rules say is wrong, and what became of it."""

from shared.events.feedback.bulks import BulkFlagAdvanced, BulkFlagEnded, BulkFlagRequested
from shared.events.feedback.flags import FeedbackFlagged, FlagLapsed, FlagLinkUsed, FlagLocated, PredictionsFlagged
from shared.events.feedback.parts import (
    Attachment,
    Breach,
    Condition,
    FeedbackPayload,
    LogEnd,
    Operator,
    PredictionQuery,
    Resolution,
    Severity,
    Target,
    TriageState,
    Via,
)
from shared.events.feedback.reviews import ReviewDrawn, ReviewItem, ReviewJudged, Stratum
from shared.events.feedback.rules import Decision, RuleAdopted, RuleRetired
from shared.events.feedback.thresholds import FlagLimitsSet, FlagThresholdBreached, FlagThresholdCleared
from shared.events.feedback.triage import (
    CorrectionsExported,
    FlagCommented,
    FlagMerged,
    FlagResolved,
    FlagTriaged,
    LabelsCorrected,
)

__all__ = [
    "Attachment",
    "Breach",
    "BulkFlagAdvanced",
    "BulkFlagEnded",
    "BulkFlagRequested",
    "Condition",
    "CorrectionsExported",
    "Decision",
    "FeedbackFlagged",
    "FeedbackPayload",
    "FlagCommented",
    "FlagLapsed",
    "FlagLimitsSet",
    "FlagLinkUsed",
    "FlagLocated",
    "FlagMerged",
    "FlagResolved",
    "FlagThresholdBreached",
    "FlagThresholdCleared",
    "FlagTriaged",
    "LabelsCorrected",
    "LogEnd",
    "Operator",
    "PredictionQuery",
    "PredictionsFlagged",
    "Resolution",
    "ReviewDrawn",
    "ReviewItem",
    "ReviewJudged",
    "RuleAdopted",
    "RuleRetired",
    "Severity",
    "Stratum",
    "Target",
    "TriageState",
    "Via",
]
