"""Facts that each service states about itself, on its own topic."""

from typing import ClassVar, Literal

from shared.events.envelope import Payload

EVERY = "every"
"""The owner of such facts: whoever `service` names."""


class ViewsVerified(Payload):
    """The views of `service` compared, row by row, with a replay of the log from its start.

    `records`: read by the replay; `rows`: of the live views; `differing`: rows that differ for certain, `unsettled`
    those that went on changing. Digests: the sum, modulo 2^256, of the SHA-256 of every row (hex), empty where it came
    to none. `reason`: why nothing, or not everything, can be told; `first_difference`: where it lies, and both values.
    """

    OWNER: ClassVar[str] = EVERY
    service: str
    verification: str
    outcome: Literal["equal", "different", "could not tell"]
    reason: str | None = None
    first_difference: str | None = None
    records: int
    rows: int
    differing: int
    unsettled: int
    dead_letters: int
    digest_live: str
    digest_replayed: str
    seconds: float
