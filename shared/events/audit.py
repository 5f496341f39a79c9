"""Facts that only `audit` may state: what it checked and what it found."""

from typing import ClassVar, Literal

from shared.events.envelope import Payload


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
