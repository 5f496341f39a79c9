"""Predictions and outcomes as they were told, and what became of them: joined, refused, expired, forgotten."""

from datetime import datetime
from typing import ClassVar, Literal

from shared.events.envelope import BatchPayload, Payload
from shared.events.monitor.parts import MonitorPayload


class PredictionLogged(BatchPayload):
    """A batch of 1 to 10,000 predictions of one model version. Columns: see `shared.events.batches.PREDICTIONS`.

    `fallback`: `constant` where the deployment's constant answered in place of `version`, its champion, which failed:
    what the caller was told, and nothing that the model said.
    """

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    start: datetime
    end: datetime
    client_ids: bool = False
    fallback: Literal["", "constant"] = ""


class OutcomeLogged(BatchPayload):
    """A batch of outcomes as they were told. Columns: `shared.events.batches.OUTCOMES`."""

    OWNER: ClassVar[str] = "monitor"


class OutcomesJoined(BatchPayload):
    """Outcomes that met their predictions. Columns: `shared.events.batches.JOINED`.

    A correction is two rows: the old value with weight -1, the new one with weight +1, so that every sum stays exact.
    `batches` names the prediction batches touched; `outcome_event` the batch of outcomes that came in. Of shadows that
    were asked beside an answer whose outcome was known already it is empty, and `answered` names the answers' batches.
    """

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    model: str
    version: int
    batches: tuple[str, ...]
    outcome_event: str
    answered: tuple[str, ...] = ()


class PredictionsRefused(MonitorPayload):
    """Predictions that intake refused for their rows, in the window of their arrival: all of it so far.

    `bodies`: requests, of which nothing was taken; `rows`: what came with them. `reasons`: by fault, `KIND:COLUMN`, the
    rows of the bodies that had it (kinds: absent, unknown, type, null, value, and codes of problems without a column);
    beyond a limit of names they are counted as `other`."""

    bodies: int
    rows: int
    reasons: dict[str, int]


class RetentionSet(Payload):
    """How long a deployment's predictions are kept in the archive, in days after they were made; 0: for ever."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    days: int
    reason: str = ""


class PredictionsExpired(Payload):
    """Predictions that ended before `before` left the archive, as the retention of `days` demands."""

    OWNER: ClassVar[str] = "monitor"
    deployment: str
    before: datetime
    days: int
    rows: int
    batches: int


class SubjectForgotten(Payload):
    """The key of a subject was destroyed, so that nothing of what it encrypted can be read any more. `subject`: the
    token that stands in the log in the person's place; nothing leads from it to the person."""

    OWNER: ClassVar[str] = "monitor"
    subject: str
    reason: str
