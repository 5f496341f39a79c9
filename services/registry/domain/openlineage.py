"""OpenLineage events: what one is about, and which were seen already. Streams `lineage/job/NAMESPACE/NAME/HOUR` (of the
job's runs, too) and `lineage/dataset/NAMESPACE/NAME/HOUR`: an event that comes again says the same hour, so its stream
knows it, and no stream grows without end. Source: OpenLineage 2-0-2."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, cast

import orjson
from immutables import Map

from shared.events.envelope import Event, Payload
from shared.events.plain import MAX_DEPTH, not_plain
from shared.events.refusal import Refused
from shared.events.registry import LineageReported

MAX_NAME_BYTES = 800
MAX_DATASETS = 1_000
MAX_SEEN = 5_000
"""Events of one stream by whose digest a repeated one is known."""

STATES = ("START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


@dataclass(frozen=True, slots=True)
class Known:
    """Digests of the events of one stream, at most MAX_SEEN of those that came last. `order`: by their number, of which
    `last` is the newest. One more shares all else with those before."""

    digests: Map[str, int] = field(default_factory=Map[str, int])
    order: Map[int, str] = field(default_factory=Map[int, str])
    last: int = 0


initial = Known()


@dataclass(frozen=True, slots=True)
class Report:
    """Events of one stream, in the order they came."""

    reports: tuple[LineageReported, ...]


def decide(state: Known, command: Report) -> Sequence[Payload]:
    """Those that were not reported before."""
    fresh: dict[str, LineageReported] = {}
    for report in command.reports:
        if report.digest not in state.digests:
            fresh.setdefault(report.digest, report)
    return list(fresh.values())


def evolve(state: Known, event: Event) -> Known:
    if not isinstance(event.data, LineageReported) or event.data.digest in state.digests:
        return state
    digest, last = event.data.digest, state.last + 1
    digests, order = state.digests.set(digest, last), state.order.set(last, digest)
    if (oldest := last - MAX_SEEN) > 0:
        digests, order = digests.delete(order[oldest]), order.delete(oldest)
    return Known(digests, order, last)


def subject_of(report: LineageReported, at: datetime) -> str:
    """The stream of an event that happened at `at`: that hour of its job's or data set's."""
    kind = "dataset" if report.kind == "dataset" else "job"
    return f"lineage/{kind}/{report.namespace}/{report.name}/{at.astimezone(UTC):%Y-%m-%dT%H}"


def read(body: Any) -> tuple[LineageReported, datetime]:
    """An event as parsed from JSON, and when it happened. Raises Refused 422 `not-openlineage` with what is missing
    where, `not-plain` on what cannot be kept."""
    if not isinstance(body, Mapping):
        raise _wrong("", "it is no JSON object")
    said = cast("Mapping[str, Any]", body)
    if _unusual(said) and (reason := not_plain(said, "event")):
        raise Refused("not-plain", f"{reason}.", status=422)
    at = _time(said)
    for name in ("producer", "schemaURL"):
        _text(said.get(name), f"/{name}")
    kind = "run" if "run" in said else "dataset" if "dataset" in said else "job"
    about = _named(said.get("dataset" if kind == "dataset" else "job"), "/dataset" if kind == "dataset" else "/job")
    run, state = _run(said) if kind == "run" else (None, None)
    for side in ("inputs", "outputs"):
        _datasets(said.get(side), side)
    report = LineageReported(
        kind=kind,
        digest=hashlib.sha256(orjson.dumps(said, option=orjson.OPT_SORT_KEYS)).hexdigest(),
        namespace=about[0],
        name=about[1],
        run=run,
        state=state,
        body=dict(said),
    )
    return report, at


def _unusual(said: Mapping[str, Any]) -> bool:
    """Whether it holds whole numbers beyond 32 bits or lies deep, so that it has to be looked through with care."""
    waiting: list[tuple[Any, int]] = [(said, 0)]
    while waiting:
        value, depth = waiting.pop()
        if depth > MAX_DEPTH // 2:
            return True
        items = cast("Iterable[Any]", value.values() if isinstance(value, dict) else value)
        for item in items:
            if isinstance(item, dict | list):
                waiting.append((cast("Any", item), depth + 1))
            elif isinstance(item, int) and not -(2**31) < item < 2**31:
                return True
    return False


def _time(said: Mapping[str, Any]) -> datetime:
    text = _text(said.get("eventTime"), "/eventTime")
    try:
        if text.isdecimal():  # a number would be read as a day: 20130401
            raise ValueError
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise _wrong("/eventTime", f"'{text[:60]}' is no time by RFC 3339") from error
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at


def _run(said: Mapping[str, Any]) -> tuple[str, str]:
    run = _object(said["run"], "/run")
    number = _text(run.get("runId"), "/run/runId")
    if not _UUID.fullmatch(number):
        raise _wrong("/run/runId", f"'{number[:60]}' is no UUID")
    _facets(run, "/run")
    state = said.get("eventType", "OTHER")
    if state not in STATES:
        raise _wrong("/eventType", f"it is none of {', '.join(STATES)}")
    return number.lower(), state


def _datasets(given: Any, side: str) -> None:
    if given is None:
        return
    if not isinstance(given, list):
        raise _wrong(f"/{side}", "it is no list")
    items = cast("list[Any]", given)
    if len(items) > MAX_DATASETS:
        raise _wrong(f"/{side}", f"it has {len(items)} data sets, more than {MAX_DATASETS}")
    for place, one in enumerate(items):
        _named(one, f"/{side}/{place}")


def _named(given: Any, where: str) -> tuple[str, str]:
    said = _object(given, where)
    _facets(said, where)
    return _name(said.get("namespace"), f"{where}/namespace"), _name(said.get("name"), f"{where}/name")


def _facets(said: Mapping[str, Any], where: str) -> None:
    for name in ("facets", "inputFacets", "outputFacets"):
        for key, facet in _object(said.get(name) or {}, f"{where}/{name}").items():
            if facet is not None:
                _object(facet, f"{where}/{name}/{key}")


def _object(given: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(given, Mapping):
        raise _wrong(where, "it is missing, or no object")
    return cast("Mapping[str, Any]", given)


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str) or not given:
        raise _wrong(where, "it is missing, or no text")
    return given


def _name(given: Any, where: str) -> str:
    text = _text(given, where)
    if len(text.encode()) > MAX_NAME_BYTES or not text.isprintable():
        raise _wrong(where, f"it has more than {MAX_NAME_BYTES} bytes, or holds what cannot be printed")
    return text


def _wrong(where: str, what: str) -> Refused:
    detail = f"This is no OpenLineage event: at '{where or '/'}', {what}."
    return Refused("not-openlineage", detail, status=422, errors=[{"in": "body", "pointer": where, "detail": what}])
