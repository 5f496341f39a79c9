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


class LogRun(Part):
    """Neighbouring records of one partition of the log: offsets `begin` up to, not including, `end`."""

    topic: str
    partition: int
    begin: int
    end: int


class LogOffset(Part):
    """A place in the log: everything of the partition before `offset`."""

    topic: str
    partition: int
    offset: int


class CheckpointSigned(Payload):
    """The Merkle tree over the log grew to `size` leaves with this root, and audit signed it.

    The leaves `previous` to `size` are the records of `runs`, one after another; so the order of the tree follows from
    these events and the log alone. `offsets`: how far partitions are covered now, of those that moved (what lies before
    and is in no run has no leaf: a record that came twice, or one that waits among the dead letters). `root`: base64;
    `note`: the C2SP checkpoint as signed by `key_id`.
    """

    OWNER: ClassVar[str] = "audit"
    origin: str
    size: int
    root: str
    previous: int
    runs: tuple[LogRun, ...]
    offsets: tuple[LogOffset, ...]
    key_id: str
    note: str


class CheckpointCosigned(Payload):
    """A witness saw that the tree of `size` leaves continues what it saw before, and signed so at `at`.

    `verifier`: the witness's key; `signature`: its line below the checkpoint's text.
    """

    OWNER: ClassVar[str] = "audit"
    size: int
    root: str
    witness: str
    verifier: str
    at: datetime
    signature: str


class SigningKeyAdopted(Payload):
    """From now on checkpoints are signed by this key. `endorsement`: a note that names the new key, signed by the one
    that it replaces (by its own hand alone where it is the first, or that one was lost)."""

    OWNER: ClassVar[str] = "audit"
    origin: str
    key_id: str
    verifier: str
    replaces: str | None = None
    endorsement: str


class TreeVerified(Payload):
    """The Merkle tree compared with the ledger, its own checkpoints and their copies outside, leaf by leaf.

    `root` (base64) is the one that the ledger gives for the `size` leaves; `leaf` and `place` tell where the first
    difference lies, as far as one leaf or record can be named. `parts`: cold parts of the ledger that were read whole.
    """

    OWNER: ClassVar[str] = "audit"
    verification: str
    outcome: Literal["equal", "different"]
    size: int
    checkpoints: int
    copies: int
    root: str
    leaf: int | None = None
    place: LogOffset | None = None
    first_difference: str | None = None
    parts: int = 0


class LedgerPartArchived(Payload):
    """The entries of the leaves `first` up to, not including, `end` lie in a Parquet file, as they were hashed, and the
    ledger need not hold them any more.

    `part` counts from 1. The leaves are one perfect subtree of the Merkle tree, whose root is `root` (base64). `file`:
    its name where parts are kept; `sha256` (hex) and `length` of its bytes; `size`: leaves of the signed checkpoint to
    which the proof in the file leads.
    """

    OWNER: ClassVar[str] = "audit"
    part: int
    first: int
    end: int
    root: str
    file: str
    sha256: str
    length: int
    size: int
