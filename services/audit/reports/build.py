"""Reports from facts: of one model, and of all of them."""

from collections.abc import Sequence

from services.audit.reports.document import Part, Report
from services.audit.reports.facts import Facts
from services.audit.reports.sections import annex_iv, crosswalk, estate, model_card
from services.audit.reports.sections.changes import changes_of_use
from services.audit.reports.sections.development import development
from services.audit.reports.sections.findings import findings
from services.audit.reports.sections.inventory import inventory, purpose
from services.audit.reports.sections.limits import limitations, overrides
from services.audit.reports.sections.logs import article_12, article_72
from services.audit.reports.sections.monitoring import monitoring
from services.audit.reports.sections.outcomes import outcomes
from services.audit.reports.sections.summary import summary
from services.audit.reports.sections.validation import approvals, validation

MODEL_RISK = (
    inventory, purpose, development, validation, approvals, changes_of_use, monitoring, outcomes, limitations,
    overrides, findings,
)  # fmt: skip


def model_report(facts: Facts, base_url: str) -> Report:
    """The report on one model as of its facts' moment. `base_url`: where its links lead."""
    risk = tuple(one(facts) for one in MODEL_RISK)
    eu = (*annex_iv.sections(facts), article_12(facts), article_72(facts))
    about = tuple(one(facts) for one in (crosswalk.crosswalk, crosswalk.proof, crosswalk.issued, crosswalk.claims))
    parts = (
        Part("summary", "Summary", "", (summary(facts),)),
        Part("model-risk", "Model risk management", "SR 26-2, with the mapping to SR 11-7", risk),
        Part("ai-act", "EU AI Act", "Regulation (EU) 2024/1689: Annex IV, Articles 12 and 72", eu),
        Part("model-card", "Model card", "Mitchell et al. 2019", model_card.sections(facts)),
        Part("about", "About this report", "", about),
    )
    moment = (facts.at, facts.known_at)
    return Report(f"model/{facts.model}", f"Model report: {facts.model}", *moment, base_url, parts, facts.by_id)


def inventory_report(entries: Sequence[estate.Entry], everything: Facts, base_url: str) -> Report:
    """The report on all models. `everything`: facts of no single model, and the moment."""
    about = (crosswalk.proof(everything), crosswalk.claims(everything))
    standard = "SR 26-2, governance and controls · SR 11-7 VI"
    parts = (
        Part("inventory", "Model inventory", standard, estate.sections(entries, everything)),
        Part("about", "About this report", "", about),
    )
    facts = {**everything.by_id, **{event: fact for one in entries for event, fact in one.facts.items()}}
    moment = (everything.at, everything.known_at)
    return Report("inventory", "Model inventory", *moment, base_url, parts, facts)
