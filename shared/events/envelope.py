"""The envelope every fact travels in: CloudEvents 1.0 attributes plus Muniment's own extensions.

Source: CloudEvents 1.0.2 (context attributes) and its `recordedtime`, `sequence` and `correlation` extensions.
"""

from datetime import datetime
from typing import ClassVar

import msgspec
from pydantic import BaseModel, ConfigDict


class Payload(BaseModel):
    """What happened, in the field's words. Frozen; a change of shape is a new `VERSION` with an upcaster."""

    # What is not finite would be kept as null, and could not be read back as the number that it has to be.
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="null", allow_inf_nan=False)

    OWNER: ClassVar[str]
    VERSION: ClassVar[int] = 1


class BatchPayload(Payload):
    """The facts about a batch of rows; the rows themselves travel beside it as Arrow bytes (`Event.table`)."""

    rows: int


class Event(msgspec.Struct, frozen=True, gc=False):
    """One immutable fact. As a struct it is made in a tenth of the time of a frozen dataclass.

    `time` is when it happened, `recorded` when the log took it (None until then); both UTC.
    `subject` names its stream, `sequence` its place there, from 1. `table` holds the Arrow IPC stream of a batch event.
    """

    id: str
    source: str
    subject: str
    time: datetime
    sequence: int
    actor: str
    data: Payload
    causationid: str | None = None
    correlationid: str | None = None
    recorded: datetime | None = None
    table: bytes | None = None

    @property
    def type(self) -> str:
        return type(self.data).__name__

    @property
    def dataschema(self) -> str:
        return f"urn:muniment:event:{self.type}:{self.data.VERSION}"

    def at_position(self, sequence: int, recorded: datetime) -> "Event":
        """The same fact with the place and the record time that the store gave it."""
        return msgspec.structs.replace(self, sequence=sequence, recorded=recorded)
