"""What a request says about its rows beside their features: `at`, `entity`, `segment`, `id`."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.deployer.serving.refusals import bad_request
from shared.events.batches import parse_prediction_id

MAX_TEXT = 500


@dataclass(frozen=True, slots=True)
class Rows:
    """One value per row, or None where none came; rows without a time happened `now`. `ids`: the caller's own."""

    count: int
    now: datetime
    at: list[datetime | None] | None
    entity: list[str | None] | None
    segment: list[str | None] | None
    ids: list[str] | None


def read_parameters(parameters: Any, rows: int, now: datetime, moment: Callable[[datetime], datetime]) -> Rows:
    """A list has one value per row; a single value holds for every row, but an id names one row. `moment` checks a
    time and brings it to UTC. Raises Problem 400 (and what `moment` raises)."""
    if parameters is None:
        return Rows(rows, now, None, None, None, None)
    if not isinstance(parameters, dict):
        raise bad_request("bad-parameters", "'parameters' must be an object.")
    times = _values(parameters, "at", rows)
    at = None if times is None else [None if one is None else moment(_time(one)) for one in times]
    entity, segment = (_texts(parameters, name, rows) for name in ("entity", "segment"))
    return Rows(rows, now, at, entity, segment, _ids(parameters, rows))


def _values(parameters: dict[str, Any], name: str, rows: int) -> list[Any] | None:
    given = parameters.get(name)
    if given is None:
        return None
    values = given if isinstance(given, list) else [given] * rows
    if len(values) != rows:
        raise bad_request("bad-parameters", f"Parameter '{name}' has {len(values)} values for {rows} rows.")
    return values


def _texts(parameters: dict[str, Any], name: str, rows: int) -> list[str | None] | None:
    values = _values(parameters, name, rows)
    if values is None:
        return None
    return [None if value is None else _text(name, value) for value in values]


def _text(name: str, value: Any) -> str:
    text = str(value) if type(value) is int else value
    if not isinstance(text, str) or not 0 < len(text) <= MAX_TEXT:
        detail = f"Parameter '{name}' holds {value!r:.50}; it takes texts of 1 to {MAX_TEXT} characters."
        raise bad_request("bad-parameters", detail)
    return text


def _time(value: Any) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except (TypeError, ValueError) as error:
        raise bad_request("bad-parameters", f"Parameter 'at' holds {value!r:.50}, no time by RFC 3339.") from error


def _ids(parameters: dict[str, Any], rows: int) -> list[str] | None:
    values = _values(parameters, "id", rows)
    if values is None:
        return None
    ids = [_text("id", value) for value in values]
    if len(set(ids)) < len(ids):
        raise bad_request("bad-parameters", "Parameter 'id' names two rows with one id.")
    reserved = next((one for one in ids if parse_prediction_id(one) is not None), None)
    if reserved is not None:
        raise bad_request("reserved-id", f"'{reserved}' has the form of the ids given here; choose another.")
    return ids
