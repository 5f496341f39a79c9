"""What of a batch goes against the signature of the version that answered: faults, counted in rows.

The monitor's own intake refuses such rows; others write predictions too, and a fault there must show.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportUnknownLambdaType=false, reportAttributeAccessIssue=false, reportMissingTypeStubs=false

from collections.abc import Callable, Container

import pyarrow as pa

from services.monitor.domain.parts import Parts
from shared.events import batches
from shared.events.registry import Field, Signature

ABSENT, UNKNOWN, WRONG_TYPE, EMPTY_VALUE = "absent", "unknown", "type", "null"
WRONG_VALUE = "value"
"""What only intake finds, since it lets no such value pass: infinite, too long, too large, or given twice."""

_FITS: dict[str, Callable[[pa.DataType], bool]] = {
    "double": lambda kind: pa.types.is_floating(kind) or pa.types.is_integer(kind),
    "long": pa.types.is_integer,
    "boolean": pa.types.is_boolean,
    "string": lambda kind: pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind),
}


_TYPES = {"double": pa.float64(), "long": pa.int64(), "boolean": pa.bool_(), "string": pa.string()}


def absent_inputs(schema: pa.Schema, signature: Signature | None, compared: Container[str]) -> list[pa.Field]:
    """Columns of the inputs to be `compared` that batches of a schema lack: a row without a value lacks it, however it
    was sent. Personal inputs have no columns."""
    if signature is None:
        return []
    names = set(schema.names)
    inputs = [one for one in signature.inputs if one.name in compared and one.name not in signature.personal]
    columns = [pa.field(batches.FEATURE + one.name, _TYPES[one.type]) for one in inputs]
    return [one for one in columns if one.name not in names]


def faults_of(parts: Parts, signature: Signature) -> dict[str, int]:
    """Rows by fault, `KIND:COLUMN`. A signature without inputs (or outputs) allows any."""
    rows = parts.rows
    faults: dict[str, int] = {}
    sealed = {batches.FEATURE + name for name in signature.personal}
    schema = parts.schema
    for prefix, fields in ((batches.FEATURE, signature.inputs), (batches.OUTPUT, signature.outputs)):
        if not fields:
            continue
        # personal inputs are sealed away, so that a column of theirs is as foreign as any
        stated = {prefix + field.name: field for field in fields if prefix + field.name not in sealed}
        there = {one.name: one.type for one in schema if one.name.startswith(prefix)}
        for name in there.keys() - stated.keys():
            faults[f"{UNKNOWN}:{name}"] = rows
        for name, field in stated.items():
            faults |= _fault(parts, name, field, there.get(name), rows)
    return dict(sorted(faults.items()))


def _fault(parts: Parts, name: str, field: Field, kind: pa.DataType | None, rows: int) -> dict[str, int]:
    if kind is None:
        return {f"{ABSENT}:{name}": rows} if field.required else {}
    if not _FITS[field.type](kind):
        return {f"{WRONG_TYPE}:{name}": rows}
    empty = sum(chunk.null_count for chunk in parts.chunks(name)) if field.required else 0
    return {f"{EMPTY_VALUE}:{name}": empty} if empty else {}
