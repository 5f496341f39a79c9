"""A review: what was drawn, and what experts say of it. Stream `review/{id}`."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.events.envelope import Event, Payload
from shared.events.feedback import ReviewDrawn, ReviewJudged
from shared.events.refusal import Refused


@dataclass(frozen=True, slots=True)
class Draw:
    drawn: ReviewDrawn


@dataclass(frozen=True, slots=True)
class Judgement:
    prediction_id: str
    wrong: bool
    comment: str


@dataclass(frozen=True, slots=True)
class Judge:
    judgements: tuple[Judgement, ...]


Command = Draw | Judge
initial: ReviewDrawn | None = None


def decide(state: ReviewDrawn | None, command: Command) -> Sequence[Payload]:
    """What follows. Raises Refused: 409 `already-drawn`, 404 `unknown-review`, 422 `not-in-review`."""
    if isinstance(command, Draw):
        if state is not None:
            raise Refused("already-drawn", f"Review {command.drawn.review} exists already.")
        return [command.drawn]
    if state is None:
        raise Refused("unknown-review", "There is no such review.", status=404)
    drawn = {item.prediction_id for item in state.items}
    for one in command.judgements:
        if one.prediction_id not in drawn:
            detail = f"'{one.prediction_id}' was not drawn, and an estimate may rest on nothing that was chosen."
            raise Refused("not-in-review", detail, status=422)
    return [
        ReviewJudged(review=state.review, prediction_id=one.prediction_id, wrong=one.wrong, comment=one.comment)
        for one in command.judgements
    ]


def evolve(state: ReviewDrawn | None, event: Event) -> ReviewDrawn | None:
    return event.data if isinstance(event.data, ReviewDrawn) else state
