"""JSON bodies: their shapes, and what is wrong with one, as a problem that names the place."""

import re
from datetime import datetime, timedelta
from typing import Annotated, Any, TypeVar

import msgspec

from shared.runtime.problems import Problem

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class PredictionIn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One prediction as a caller posts it."""

    features: dict[str, Any]
    output: dict[str, Any]
    id: Name | None = None
    at: Moment | None = None
    entity: Name | None = None
    segment: Name | None = None


class PredictionsIn(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /v1/predictions."""

    deployment: Name
    version: int
    predictions: list[PredictionIn]


class OutcomeIn(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """One outcome: 1 or 0 (true or false) of a yes-or-no question, a number of any other."""

    prediction_id: Name
    value: float | bool
    at: Moment | None = None


class OutcomesIn(msgspec.Struct, forbid_unknown_fields=True):
    """Body of POST /v1/outcomes."""

    outcomes: list[OutcomeIn]


PREDICTIONS = msgspec.json.Decoder(PredictionsIn)
OUTCOMES = msgspec.json.Decoder(OutcomesIn)

T = TypeVar("T")


def decoded(decoder: "msgspec.json.Decoder[T]", body: bytes) -> T:
    """The body. Raises Problem 422 with a JSON pointer for a wrong shape, 400 for what is no JSON."""
    try:
        return decoder.decode(body)
    except msgspec.ValidationError as error:
        text, _, path = str(error).partition(" - at `")
        pointer = pointer_of(path.rstrip("`"))
        errors = [{"pointer": pointer, "detail": text}]
        raise Problem(422, "invalid-body", f"{pointer or 'The body'}: {text}", errors=errors) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed-json", f"The body is no JSON: {error}") from error


def pointer_of(path: str) -> str:
    """`$.predictions[3].id` as a JSON pointer."""
    return "".join(f"/{part}" for part in re.findall(r"[^.\[\]$]+", path))


def check_future(latest: datetime, present: datetime, skew: float, pointer: str) -> None:
    """Raise Problem 422 where a time lies further ahead than the clocks may differ."""
    if latest > present + timedelta(seconds=skew):
        detail = f"{pointer}: '{latest.isoformat()}' lies more than {skew:.0f} s in the future."
        raise Problem(422, "time-in-future", detail, errors=[{"pointer": pointer, "detail": "lies in the future"}])
