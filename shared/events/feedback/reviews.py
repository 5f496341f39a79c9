"""Unflagged predictions drawn for review, and what was found."""

from datetime import datetime
from typing import Literal

from shared.events.feedback.parts import FeedbackPayload
from shared.events.registry import Part


class Stratum(Part):
    """Predictions of one kind: `size` of them, of which `drawn` are to be looked at."""

    name: str
    size: int
    drawn: int


class ReviewItem(Part):
    """One prediction to be looked at."""

    prediction_id: str
    stratum: str
    score: float | None = None


class ReviewDrawn(FeedbackPayload):
    """Predictions were drawn at random, without replacement within each stratum, for experts to look at. `seed`: with
    it and the same predictions the draw can be repeated."""

    review: str
    deployment: str
    model: str
    version: int
    design: Literal["stratified", "uncertainty"]
    output: str | None
    seed: int
    since: datetime | None = None
    until: datetime | None = None
    strata: tuple[Stratum, ...]
    items: tuple[ReviewItem, ...]


class ReviewJudged(FeedbackPayload):
    """An expert looked at one prediction of a review."""

    review: str
    prediction_id: str
    wrong: bool
    comment: str = ""
