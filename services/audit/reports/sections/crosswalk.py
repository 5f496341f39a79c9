"""Which paragraph is answered where, what the record proves, and what this report does not claim."""

from services.audit.reports.document import Block, Row, Section, Statement, Table, gap
from services.audit.reports.facts import Facts, ids
from services.audit.reports.sections.common import say
from services.audit.reports.words import minute

MAX_ISSUED = 50
"""The newest issued reports that a report lists."""

_ROWS = (
    ("Overview; model risk, materiality", "III Overview of model risk management", "Inventory; Purpose and use"),
    (
        "Model development and model use",
        "IV Model development, implementation, and use",
        "Purpose and use; Development; Changes in use; Limitations",
    ),
    (
        "Model validation and monitoring: conceptual soundness",
        "V.1 Evaluation of conceptual soundness",
        "Validation; Limitations",
    ),
    (
        "Model validation and monitoring: ongoing monitoring",
        "V.2 Ongoing monitoring",
        "Ongoing monitoring; Overrides and expert challenge",
    ),
    ("Model validation and monitoring: outcomes analysis", "V.3 Outcomes analysis", "Outcomes analysis"),
    (
        "Governance and controls",
        "VI Governance, policies, and controls",
        "Approvals and gates; Changes in use; Findings",
    ),
    ("Governance and controls: model inventory", "VI Model inventory", "Inventory"),
    ("Governance and controls: documentation", "VI Documentation", "The whole report, each statement with its events"),
    (
        "Vendor and other third-party products",
        "V Validation of vendor products",
        "Development (artifacts served elsewhere have the uri external:…)",
    ),
)


def crosswalk(facts: Facts) -> Section:
    rows = tuple(Row(row) for row in _ROWS)
    columns = ("SR 26-2 (17 April 2026)", "SR 11-7 (4 April 2011, superseded)", "In this report")
    return Section(
        "crosswalk", "SR 26-2 and SR 11-7", "SR 26-2; SR 11-7", (Table("", columns, rows, wide=(2, 2, 2.4)),)
    )


def proof(facts: Facts) -> Section:
    blocks: list[Block] = [
        say(
            "Each statement names its events: E for one event, S for a set. The register at the end resolves them. "
            "An event "
            "is read at its address; its inclusion proof ties it to a signed checkpoint, which anyone can verify "
            "without "
            "trusting this system."
        ),
        say("Whoever asks for the same moment in both times gets the same statements, today and in years."),
        *_checks(facts),
    ]
    return Section("proof", "How to verify this report", "RFC 6962; C2SP signed notes", tuple(blocks))


def _checks(facts: Facts) -> list[Statement]:
    found: list[Statement] = []
    for fact in facts.of("VerificationCompleted")[-1:]:
        text = (
            f"The log was last replayed from zero and compared with the views on {minute(fact.time)} UTC: "
            f"{fact.data['outcome']}, {fact.data['events']:,} events, {fact.data['rows']:,} rows."
        )
        found.append(say(text, fact))
    newest = {fact.data["service"]: fact for fact in facts.of("ViewsVerified")}
    for service, fact in sorted(newest.items()):
        text = (
            f"The views of {service} were last compared with a replay of the log on {minute(fact.time)} UTC: "
            f"{fact.data['outcome']}, {fact.data['records']:,} records, {fact.data['rows']:,} rows."
        )
        found.append(say(text, fact))
    for fact in facts.of("CheckpointSigned")[-1:]:
        text = (
            f"The newest signed checkpoint known at that time covers {fact.data['size']:,} records of "
            f"{fact.data['origin']}; its root is {fact.data['root']}."
        )
        found.append(say(text, fact))
    return found or [gap("a verification or a signed checkpoint at that time.")]


def issued(facts: Facts) -> Section:
    """Reports on the same model that were issued before."""
    source = "Muniment; the SHA-256 of a file tells which report it is"
    rows = [
        Row(
            (
                str(fact.data["number"]),
                f"{minute(fact.time)}, {fact.actor}",
                fact.data["at"][:16].replace("T", " "),
                fact.data["known_at"][:16].replace("T", " "),
                fact.data["reason"] or "–",
                "; ".join(f"{one['format']} {one['sha256'][:16]}…" for one in fact.data["files"]),
            ),
            ids([fact]),
        )
        for fact in facts.of("ReportIssued")[-MAX_ISSUED:]
    ]
    if not rows:
        return Section("issued", "Reports issued before", source, (say("None was issued before."),))
    columns = ("Number", "Issued (UTC), by", "True at (UTC)", "Known at (UTC)", "Reason", "SHA-256 of its files")
    table = Table("", columns, tuple(rows), wide=(0.7, 1.4, 1.2, 1.2, 1.2, 2.2))
    return Section("issued", "Reports issued before", source, (table,))


def claims(facts: Facts) -> Section:
    blocks = (
        say(
            "This report says what is on record, and where nothing is on record it says so. It is not legal advice, "
            "not a "
            "conformity assessment, not a validation, and no statement that the model is fit for its use."
        ),
        say(
            "It does not decide whether the model is a model in the sense of SR 26-2, or a high-risk AI system in "
            "the sense "
            "of Article 6 of Regulation (EU) 2024/1689. SR 26-2 is guidance and sets no enforceable standard."
        ),
        say(
            "Muniment cannot know what was never recorded: meetings, documents and decisions that took place elsewhere."
        ),
    )
    return Section("claims", "What this report does not claim", "Muniment", blocks)
