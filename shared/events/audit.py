"""Facts that only `audit` may state: what it checked and what it found."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import Payload
from shared.events.registry import Part


class VerificationCompleted(Payload):
    """The log replayed from zero and compared with the live views, row by row, in the order of their keys."""

    OWNER: ClassVar[str] = "audit"
    verification: str
    outcome: Literal["equal", "different"]
    events: int
    rows: int
    digest_live: str
    digest_replayed: str
    first_difference: str | None = None


class IssuedFile(Part):
    """One form of an issued report: its bytes by their SHA-256 (hex) and length."""

    format: Literal["json", "html", "pdf"]
    sha256: str
    length: int


class ReportIssued(Payload):
    """A report as it was handed out. `model` None: the inventory of all models; `number` counts its reports from 1.

    `at`, `known_at`: the moment it speaks of, in both times. `period`: the end of a scheduled report's period (a date),
    else empty. `gaps`: statements that something is not on record.
    """

    OWNER: ClassVar[str] = "audit"
    report: str
    model: str | None = None
    number: int
    at: datetime
    known_at: datetime
    period: str = ""
    reason: str = ""
    gaps: int
    files: tuple[IssuedFile, ...]
