"""What the feedback service states: flags and what became of them, reviews, rules, corrections."""

from services.audit.projection.lineage.edges import (
    ALTERNATE,
    ASSOCIATED,
    ATTRIBUTED,
    DEFINITION,
    DERIVED,
    GENERATED,
    INFLUENCED,
    SPECIAL,
    USED,
    Edge,
    Said,
    Says,
    of_version,
    set_for_deployment,
    version_node,
)
from shared.events import feedback
from shared.events.batches import prediction_id
from shared.events.envelope import Event


def _flag(event: Event, data: feedback.FeedbackFlagged | feedback.FlagLocated) -> Said:
    if isinstance(data, feedback.FeedbackFlagged) and data.target != "prediction":
        return _flag_of_more(data)
    node = f"flag/{data.flag}"
    edges = of_version(node, data) if data.deployment else []
    named = data.prediction_id
    if data.batch is not None and data.row is not None:
        named = prediction_id(data.batch, data.row)
        edges.append(Edge(f"prediction/{named}", SPECIAL, f"batch/{data.batch}", "row"))
    return node, [Edge(node, DERIVED, f"prediction/{named}", "flagged"), *edges]


def _flag_of_more(data: feedback.FeedbackFlagged) -> Said:
    """A flag on a slice, a model or a pipeline hangs on what of these it names."""
    node = f"flag/{data.flag}"
    edges: list[Edge] = []
    if data.deployment:
        edges.append(Edge(node, INFLUENCED, f"deployment/{data.deployment}", "deployment"))
    if data.model:
        of = f"model/{data.model}" if data.version is None else version_node(data.model, data.version)
        edges.append(Edge(node, DERIVED, of, "flagged"))
    if data.pipeline:
        edges.append(Edge(node, DERIVED, f"pipeline/{data.pipeline}", "flagged"))
    return node, edges


def _triaged(event: Event, data: feedback.FlagTriaged) -> Said:
    node = f"flag/{data.flag}"
    return node, [Edge(node, ASSOCIATED, f"actor/{data.assignee}", "assignee", "assignee")]


def _flag_only(event: Event, data: feedback.FlagCommented | feedback.FlagResolved | feedback.FlagLapsed) -> Said:
    return f"flag/{data.flag}", []


def _flags(event: Event, data: feedback.PredictionsFlagged) -> Said:
    node = f"flag/{data.flag}"
    edges = [Edge(node, DERIVED, f"batch/{batch}", "flagged") for batch in data.batches]
    if data.rule:
        edges.append(Edge(node, INFLUENCED, f"rule/{data.rule}", "rule"))
    if data.bulk:
        edges.append(Edge(node, GENERATED, f"bulk/{data.bulk}", "bulk"))
    return node, [*edges, *of_version(node, data)]


def _merged(event: Event, data: feedback.FlagMerged) -> Said:
    node = f"flag/{data.flag}"
    return node, [Edge(node, ALTERNATE, f"flag/{data.into}", "merged")]


def _bulk(event: Event, data: feedback.BulkFlagRequested | feedback.BulkFlagAdvanced | feedback.BulkFlagEnded) -> Said:
    return f"bulk/{data.bulk}", []


def _labels(event: Event, data: feedback.LabelsCorrected) -> Said:
    node = f"labels/{event.id}"
    return node, [Edge(node, DERIVED, f"flag/{data.flag}", "corrected")]


def _link_used(event: Event, data: feedback.FlagLinkUsed) -> Said:
    node = f"flag/{data.flag}"
    return node, [Edge(node, ATTRIBUTED, f"actor/{data.issuer}", "link issuer")]


def _rule(event: Event, data: feedback.RuleAdopted) -> Said:
    node = f"rule/{data.rule}"
    return node, [Edge(node, INFLUENCED, f"deployment/{data.deployment}", "deployment", DEFINITION)]


def _rule_retired(event: Event, data: feedback.RuleRetired) -> Said:
    return f"rule/{data.rule}", []


def _review(event: Event, data: feedback.ReviewDrawn) -> Said:
    node = f"review/{data.review}"
    return node, of_version(node, data)


def _judged(event: Event, data: feedback.ReviewJudged) -> Said:
    node = f"review/{data.review}"
    return node, [Edge(node, USED, f"prediction/{data.prediction_id}", "judged")]


def _corrections(event: Event, data: feedback.CorrectionsExported) -> Said:
    node = f"dataset/{data.dataset}@{data.version}"
    return node, [Edge(node, DERIVED, f"flag/{flag}", "corrected") for flag in data.flags]


def _flag_breach(event: Event, data: feedback.FlagThresholdBreached | feedback.FlagThresholdCleared) -> Said:
    node = f"breach/{event.id}"
    return node, of_version(node, data)


SAYS: Says = {
    feedback.FeedbackFlagged: _flag,
    feedback.FlagLocated: _flag,
    feedback.FlagTriaged: _triaged,
    feedback.FlagCommented: _flag_only,
    feedback.FlagResolved: _flag_only,
    feedback.FlagThresholdBreached: _flag_breach,
    feedback.FlagThresholdCleared: _flag_breach,
    feedback.FlagLapsed: _flag_only,
    feedback.FlagMerged: _merged,
    feedback.PredictionsFlagged: _flags,
    feedback.BulkFlagRequested: _bulk,
    feedback.BulkFlagAdvanced: _bulk,
    feedback.BulkFlagEnded: _bulk,
    feedback.LabelsCorrected: _labels,
    feedback.FlagLimitsSet: set_for_deployment("flag-limits"),
    feedback.FlagLinkUsed: _link_used,
    feedback.RuleAdopted: _rule,
    feedback.RuleRetired: _rule_retired,
    feedback.ReviewDrawn: _review,
    feedback.ReviewJudged: _judged,
    feedback.CorrectionsExported: _corrections,
}
