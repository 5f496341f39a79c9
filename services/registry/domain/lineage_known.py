"""What is known of a data set, job or run from the OpenLineage events about it, whatever order they came in.

Each facet is as the newest event says that has it (of two at one moment the greater text); a facet's `_deleted` takes
it away. What a run or job reads and writes adds up. Known things are JSON objects, so that they can be kept.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from shared.events.codec import rfc3339
from shared.events.registry import LineageReported

Known = dict[str, Any]
Thing = tuple[str, str, str]
"""Kind (dataset, job or run), namespace and name; of a run the job's namespace and the run's id."""

MAX_LINKS = 1_000
"""Data sets that a job or run is known to read, and to write."""

ENDS = {"COMPLETE": "succeeded", "FAIL": "failed", "ABORT": "failed"}


def told_by(report: LineageReported, at: datetime) -> dict[Thing, Known]:
    """What one event says of each thing."""
    body, moment = report.body, rfc3339(at)
    told: dict[Thing, Known] = {}
    links: dict[str, list[list[str]]] = {}
    for side in ("inputs", "outputs"):
        datasets = cast("Sequence[Mapping[str, Any]]", body.get(side) or [])
        links[side] = [[one["namespace"], one["name"]] for one in datasets]
        for one in datasets:
            thing = ("dataset", str(one["namespace"]), str(one["name"]))
            told[thing] = added(told.get(thing, {}), {"facets": _facets(one, moment)})
    if report.kind == "dataset":
        told["dataset", report.namespace, report.name] = {"facets": _facets(body["dataset"], moment)}
        return told
    told["job", report.namespace, report.name] = {"facets": _facets(body["job"], moment), **links}
    if report.run is not None:
        run: Known = {"facets": _facets(body["run"], moment), **links, "first": moment}
        run["job"] = [report.namespace, report.name]
        if report.state == "START":
            run["started"] = moment
        if report.state in ENDS:
            run["ended"] = [moment, ENDS[report.state]]
        told["run", report.namespace, report.run] = run
    return told


def added(known: Known, told: Known) -> Known:
    """Both together; the same for any order and repetition."""
    facets = dict(cast("Mapping[str, list[Any]]", known.get("facets", {})))
    for name, said in cast("Mapping[str, list[Any]]", told.get("facets", {})).items():
        facets[name] = _newer(facets[name], said) if name in facets else said
    found: Known = {**told, **known, "facets": facets}
    for side in ("inputs", "outputs"):
        if side in known or side in told:
            both = {tuple(one) for one in (*known.get(side, ()), *told.get(side, ()))}
            found[side] = [list(one) for one in sorted(both)][:MAX_LINKS]
    for name in ("first", "started"):
        moments = [one[name] for one in (known, told) if name in one]
        if moments:
            found[name] = min(moments)
    ends = [one["ended"] for one in (known, told) if "ended" in one]
    if ends:
        found["ended"] = max(ends)
    return found


def facet(known: Known, name: str) -> Mapping[str, Any]:
    """A facet as it is known now; empty where there is none."""
    said = known.get("facets", {}).get(name)
    value = cast("Mapping[str, Any]", said[1] if said and isinstance(said[1], dict) else {})
    return {} if value.get("_deleted") else value


def _facets(said: Mapping[str, Any], moment: str) -> dict[str, list[Any]]:
    """Facets of all three sorts by name, each with its moment."""
    found: dict[str, list[Any]] = {}
    for sort in ("facets", "inputFacets", "outputFacets"):
        for name, value in cast("Mapping[str, Any]", said.get(sort) or {}).items():
            if value is not None:
                found[name] = [moment, value]
    return found


def _newer(one: list[Any], other: list[Any]) -> list[Any]:
    """The one of the later moment; of two at one moment that with the greater text."""
    if one[0] != other[0]:
        return one if one[0] > other[0] else other
    if one[1] == other[1]:
        return one
    return max(one, other, key=lambda said: json.dumps(said[1], sort_keys=True))
