"""What the audit states about the record itself, and every service about its own views."""

from services.audit.projection.lineage.edges import DERIVED, Edge, Said, Says
from shared.events import audit, every
from shared.events.envelope import Event


def _verification(event: Event, data: audit.VerificationCompleted | audit.TreeVerified | every.ViewsVerified) -> Said:
    return f"verification/{data.verification}", []


def _checkpoint(event: Event, data: audit.CheckpointSigned | audit.CheckpointCosigned) -> Said:
    return f"checkpoint/{data.size}", []


def _signing_key(event: Event, data: audit.SigningKeyAdopted) -> Said:
    node = f"key/{data.key_id}"
    return node, [Edge(node, DERIVED, f"key/{data.replaces.split('+')[1]}", "replaces")] if data.replaces else []


def _ledger_part(event: Event, data: audit.LedgerPartArchived) -> Said:
    return f"ledger-part/{data.part}", []


def _report(event: Event, data: audit.ReportIssued) -> Said:
    node = f"report/{data.report}"
    return node, [Edge(node, DERIVED, f"model/{data.model}", "report")] if data.model else []


SAYS: Says = {
    audit.VerificationCompleted: _verification,
    audit.CheckpointSigned: _checkpoint,
    audit.CheckpointCosigned: _checkpoint,
    audit.SigningKeyAdopted: _signing_key,
    audit.TreeVerified: _verification,
    audit.LedgerPartArchived: _ledger_part,
    audit.ReportIssued: _report,
    every.ViewsVerified: _verification,
}
