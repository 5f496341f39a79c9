"""Data sets, pipelines and runs as the registry states them, out of what OpenLineage events say of them.

Facets read: schema, columnLineage, dataSource, documentation, version, outputStatistics, inputStatistics,
dataQualityMetrics, sourceCodeLocation, executionParameters, nominalTime. All others stay in the events as they came.
Source: OpenLineage 2-0-2, facets.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any, cast

from services.registry.domain.lineage_known import Known, facet
from services.registry.domain.names import NAME
from shared.events.registry import Code, Column, DatasetRef, PipelineRegistered, PipelineRunRecorded, Step

OWN_NAMESPACE = "muniment"
MAX_COLUMNS = 10_000
MAX_DEPTH = 10
MAX_TEXT = 20_000
_OTHER = re.compile(r"[^A-Za-z0-9._-]+")
_METRICS = {
    "nullCount": "missing",
    "distinctCount": "distinct",
    "sum": "sum",
    "min": "min",
    "max": "max",
    "count": "count",
    "mean": "mean",
}


def registry_name(namespace: str, name: str) -> str:
    """The name in the registry: as it is in the registry's own namespace, else readable, with a digest that tells
    apart what would read the same."""
    if namespace == OWN_NAMESPACE and NAME.fullmatch(name):
        return name
    digest = hashlib.sha256(f"{namespace}\0{name}".encode()).hexdigest()[:8]
    readable = _OTHER.sub("-", f"{namespace}.{name}").strip("-._")[:110].strip("-._") or "x"
    return f"{readable}-{digest}"


@dataclass(frozen=True, slots=True)
class DatasetFacts:
    """What is said of a data set, by field of DatasetRegistered; what nobody said is left out."""

    name: str
    said: Mapping[str, Any]


def dataset(namespace: str, name: str, known: Known) -> DatasetFacts:
    """`uri` is where the dataSource facet says, or namespace and name."""
    uri = _text(facet(known, "dataSource").get("uri")) or f"{namespace}/{name}"
    said: dict[str, Any] = {"uri": uri[:2_000]}
    if columns := _columns(known):
        said["columns"] = columns
    if text := _text(facet(known, "documentation").get("description")):
        said["description"] = text[:MAX_TEXT]
    if version := _text(facet(known, "version").get("datasetVersion")):
        said["digest"] = version[:500]
    counted = [facet(known, one) for one in ("outputStatistics", "dataQualityMetrics", "inputStatistics")]
    rows = _first(one.get("rowCount") for one in counted)
    size = _first(one.get(key) for one in counted for key in ("size", "bytes"))
    said |= {key: value for key, value in (("rows", rows), ("bytes", size)) if value is not None}
    return DatasetFacts(registry_name(namespace, name), said)


def pipeline(namespace: str, name: str, known: Known) -> PipelineRegistered:
    """One step: what the job as a whole reads and writes."""
    step = Step(name=name, inputs=_named(known, "inputs"), outputs=_named(known, "outputs"))
    return PipelineRegistered(
        pipeline=registry_name(namespace, name),
        description=_text(facet(known, "documentation").get("description"))[:MAX_TEXT] or f"{namespace}/{name}",
        steps=(step,),
        code=_code(known),
    )


def run(
    number: str, known: Known, job: Known, versions: Mapping[str, int], before: PipelineRunRecorded | None
) -> PipelineRunRecorded:
    """The run with what it read and wrote. `versions`: the newest of each data set by name; a version that was stated
    of this run before stays."""
    started = _moment(known.get("started")) or _nominal(known) or _moment(known["first"])
    assert started is not None  # noqa: S101
    ended = known.get("ended")
    end = _moment(ended[0]) if ended else None
    return PipelineRunRecorded(
        pipeline=registry_name(*known["job"]),
        run=number,
        state=ended[1] if ended else "running",
        started_at=min(started, end) if end else started,
        ended_at=end,
        inputs=_refs(known, "inputs", versions, before.inputs if before else ()),
        outputs=_refs(known, "outputs", versions, before.outputs if before else ()),
        code=_code(job),
        parameters=_parameters(known),
    )


def _refs(known: Known, side: str, versions: Mapping[str, int], before: Iterable[DatasetRef]) -> tuple[DatasetRef, ...]:
    stated = {ref.dataset: ref.version for ref in before}
    return tuple(
        DatasetRef(dataset=name, version=stated.get(name) or versions[name])
        for name in _named(known, side)
        if name in stated or name in versions
    )


def _named(known: Known, side: str) -> tuple[str, ...]:
    return tuple(registry_name(namespace, name) for namespace, name in known.get(side, ()))


def _columns(known: Known) -> tuple[Column, ...]:
    lineage = _mapping(facet(known, "columnLineage").get("fields"))
    metrics = _mapping(facet(known, "dataQualityMetrics").get("columnMetrics"))
    found: dict[str, Column] = {}
    for name, field in _fields(facet(known, "schema").get("fields"), "", 0):
        found[name] = Column(
            name=name,
            type=_text(field.get("type"))[:500],
            description=_text(field.get("description"))[:MAX_TEXT],
            sources=_sources(lineage.get(name)),
            statistics=_statistics(metrics.get(name)),
        )
    for name, field in lineage.items():
        if name not in found:
            found[name] = Column(name=name, type="", sources=_sources(field), statistics=_statistics(metrics.get(name)))
    return tuple(found.values())[:MAX_COLUMNS]


def _fields(given: Any, prefix: str, depth: int) -> Iterable[tuple[str, Mapping[str, Any]]]:
    """Fields by their path; those within a struct follow it."""
    if not isinstance(given, list) or depth > MAX_DEPTH:
        return
    for one in cast("list[Any]", given):
        field = _mapping(one)
        name = _text(field.get("name"))
        if name:
            yield prefix + name, field
            yield from _fields(field.get("fields"), f"{prefix}{name}.", depth + 1)


def _sources(given: Any) -> tuple[str, ...]:
    """`DATASET.COLUMN` of each column that this one is made of."""
    inputs = _mapping(given).get("inputFields")
    if not isinstance(inputs, list):
        return ()
    found: dict[str, None] = {}
    for one in cast("list[Any]", inputs):
        said = _mapping(one)
        namespace, name, column = (_text(said.get(key)) for key in ("namespace", "name", "field"))
        if namespace and name and column:
            found[f"{registry_name(namespace, name)}.{column}"] = None
    return tuple(found)


def _statistics(given: Any) -> dict[str, float]:
    metrics = _mapping(given)
    found: dict[str, Any] = {own: metrics.get(theirs) for theirs, own in _METRICS.items()}
    found |= {f"quantile_{key}": value for key, value in _mapping(metrics.get("quantiles")).items()}
    return {key: float(value) for key, value in found.items() if _number(value)}


def _code(known: Known) -> Code | None:
    said = facet(known, "sourceCodeLocation")
    repo, commit = _text(said.get("repoUrl")) or _text(said.get("url")), _text(said.get("version"))
    if not repo:
        return None
    return Code(repo=repo[:2_000], commit=commit[:500], path=_text(said.get("path"))[:2_000] or None)


def _parameters(known: Known) -> dict[str, Any]:
    given = facet(known, "executionParameters").get("parameters")
    items = cast("list[Any]", given) if isinstance(given, list) else []
    pairs = [_mapping(one) for one in items]
    return {str(one["key"]): one.get("value") for one in pairs if _text(one.get("key"))}


def _nominal(known: Known) -> datetime | None:
    return _moment(facet(known, "nominalTime").get("nominalStartTime"))


def _moment(text: Any) -> datetime | None:
    try:
        at = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def _mapping(given: Any) -> Mapping[str, Any]:
    return cast("Mapping[str, Any]", given) if isinstance(given, Mapping) else {}


def _text(given: Any) -> str:
    return given if isinstance(given, str) else ""


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(float(value))


def _first(values: Iterable[Any]) -> int | None:
    whole = (value for value in values if isinstance(value, int) and not isinstance(value, bool))
    return next((value for value in whole if 0 <= value < 2**63), None)
