"""Which rows of the archive somebody wants, and the columns in which they get them."""

# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass
from datetime import datetime
from functools import reduce
from typing import Any, Literal

import pyarrow as pa
import pyarrow.compute as pc

from services.monitor.archive.blocks import BATCH, ROW
from services.monitor.span import Span
from shared.events import batches
from shared.runtime.problems import Problem

OWN = "prediction_id"
OUTCOME: dict[str, pa.DataType] = {"outcome": pa.float64(), "outcome_at": batches.TIMESTAMP}
_FIRST = (OWN, "deployment", "version", "at", "entity", "segment")


@dataclass(frozen=True, slots=True)
class Slice:
    """Predictions of a span; further conditions where they are set. `output` names the output that `min_output` (from)
    and `max_output` (up to) speak of, None the only number output. `entity`: the names under which one may be there."""

    span: Span
    segment: str | None = None
    entity: tuple[str, ...] | None = None
    output: str | None = None
    min_output: float | None = None
    max_output: float | None = None
    outcome: Literal["any", "known", "unknown"] = "any"


def chosen(table: pa.Table, wanted: Slice) -> pa.Table:
    """The rows of a piece that are wanted, as far as the piece itself tells. Raises Problem 422 `unknown-output`."""
    conditions: list[Any] = []
    span = wanted.span
    if span.since is not None:
        conditions.append(pc.greater_equal(table.column("at"), _time(span.since)))
    if span.until is not None:
        conditions.append(pc.less(table.column("at"), _time(span.until)))
    for name, values in (("segment", None if wanted.segment is None else (wanted.segment,)), ("entity", wanted.entity)):
        if values is not None:
            conditions.append(_one_of(table, name, values))
    if wanted.min_output is not None or wanted.max_output is not None:
        column = table.column(_output(table.schema, wanted.output))
        if wanted.min_output is not None:
            conditions.append(pc.greater_equal(column, wanted.min_output))
        if wanted.max_output is not None:
            conditions.append(pc.less_equal(column, wanted.max_output))
    return table.filter(reduce(pc.and_kleene, conditions)) if conditions else table


def named(table: pa.Table) -> pa.Array:
    """The id of each row: the client's own, or the one that the server gave."""
    given = pc.binary_join_element_wise(table.column(BATCH), pc.cast(table.column(ROW), pa.string()), "-")
    return pc.coalesce(table.column(OWN), given) if OWN in table.schema.names else given


def answered(table: pa.Table, deployment: str, version: int, outcomes: dict[str, pa.Array]) -> pa.Table:
    """A piece as it is given out: ids and version first, then what came in, then what came true."""
    rows = table.num_rows
    columns: dict[str, Any] = {
        OWN: named(table),
        "deployment": pa.repeat(pa.scalar(deployment, pa.string()), rows),
        "version": pa.repeat(pa.scalar(version, pa.int64()), rows),
    }
    columns |= {name: table.column(name) for name in table.schema.names if name not in (BATCH, ROW, OWN)}
    return pa.table(columns | outcomes)


def schema_of(schemas: list[pa.Schema]) -> pa.Schema:
    """The columns of an export over pieces with these columns. Raises Problem 409 `mixed-types`."""
    base = {OWN: pa.string(), "deployment": pa.string(), "version": pa.int64(), "at": batches.TIMESTAMP}
    kept = [pa.schema([field for field in one if field.name not in (BATCH, ROW, *base)]) for one in schemas]
    try:
        whole = pa.unify_schemas([pa.schema(list(base.items())), *kept], promote_options="permissive")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        detail = f"The versions in this slice do not agree in a column's type: {error}"
        raise Problem(409, "mixed-types", detail, "Name one version, or take format=ndjson.") from error
    return (
        pa.schema(sorted(whole, key=lambda field: _order(field.name)))
        .append(pa.field("outcome", OUTCOME["outcome"]))
        .append(pa.field("outcome_at", OUTCOME["outcome_at"]))
    )


def fitted(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The same rows with exactly these columns; absent ones are null."""
    columns = [
        table.column(field.name).cast(field.type)
        if field.name in table.schema.names
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def item(values: dict[str, Any]) -> dict[str, Any]:
    """One row of `answered` as JSON tells it."""
    return {
        "id": values[OWN],
        "deployment": values["deployment"],
        "version": values["version"],
        "at": values["at"],
        "entity": values.get("entity"),
        "segment": values.get("segment"),
        "features": batches.group(values, batches.FEATURE),
        "output": batches.group(values, batches.OUTPUT),
        "outcome": values["outcome"],
        "outcome_at": values["outcome_at"],
    }


def _order(name: str) -> tuple[int, str]:
    if name in _FIRST:
        return _FIRST.index(name), ""
    return len(_FIRST) + (1 if name.startswith(batches.OUTPUT) else 0), name


def _one_of(table: pa.Table, name: str, values: tuple[str, ...]) -> Any:
    if name not in table.schema.names:
        return pa.repeat(pa.scalar(False), table.num_rows)
    return pc.is_in(table.column(name), pa.array(values, table.schema.field(name).type))


def _output(schema: pa.Schema, output: str | None) -> str:
    numbers = [
        field.name
        for field in schema
        if field.name.startswith(batches.OUTPUT)
        and (pa.types.is_floating(field.type) or pa.types.is_integer(field.type))
    ]
    if output is None and len(numbers) == 1:
        return numbers[0]
    if output is not None and batches.OUTPUT + output in numbers:
        return batches.OUTPUT + output
    names = [name.removeprefix(batches.OUTPUT) for name in numbers]
    detail = "Which output is meant?" if output is None else f"There is no number output '{output}'."
    raise Problem(422, "unknown-output", detail, f"Name one with ?output=: {', '.join(names)}.", outputs=names)


def _time(at: datetime) -> pa.Scalar:
    return pa.scalar(at, batches.TIMESTAMP)
