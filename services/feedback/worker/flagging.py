"""Many predictions of one version as parts of one flag: what each step of a bulk or a rule states."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from services.feedback.domain import flags
from services.feedback.domain.limits import OPEN_STATES
from services.feedback.projection.parts import rows_of
from shared.events import batches
from shared.events.envelope import Event
from shared.events.feedback import PredictionsFlagged, Severity, Via
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where
from shared.runtime.commands import new_id
from shared.runtime.service import Service

MAX_BATCHES = 1_000
MAX_ROWS = 100_000
OTHER = "(other)"
_PAGE = 1_000


@dataclass(frozen=True, slots=True)
class Kind:
    """What a flag says, and of which version; `bulk` or `rule` raised it."""

    deployment: str
    model: str
    version: int
    category: str
    severity: Severity
    comment: str
    via: Via
    bulk: str | None = None
    rule: str | None = None
    due: datetime | None = None

    @property
    def name(self) -> str:
        """By which a bulk finds its flag again."""
        return f"{self.version}/{self.category}/{self.severity}"


@dataclass(frozen=True, slots=True)
class Chosen:
    """Rows of one batch: int32, ascending. Further columns hold one value per row."""

    batch: str
    rows: NDArray[np.int32]
    own: pa.Array | None = None
    segment: pa.Array | None = None
    expected: pa.Array | None = None

    def without(self, known: NDArray[np.int32]) -> "Chosen":
        keep = ~np.isin(self.rows, known)
        mask = pa.array(keep)
        kept = {name: one.filter(mask) for name in ("own", "segment", "expected") if (one := getattr(self, name))}
        return replace(self, rows=self.rows[keep], **kept)


def chosen(batch: str, table: pa.RecordBatch, mask: NDArray[np.bool_], expected: Any = None) -> Chosen | None:
    """The rows of a batch that a mask chooses, with their own ids and segments; None where there are none."""
    rows = np.flatnonzero(mask).astype(np.int32)
    if not len(rows):
        return None
    taken = table.take(pa.array(rows))
    columns = {
        name: taken.column(name) if name in table.schema.names else None for name in ("prediction_id", "segment")
    }
    said = None if expected is None else pa.array([orjson.dumps(expected).decode()] * len(rows))
    return Chosen(batch, rows, columns["prediction_id"], columns["segment"], said)


async def not_flagged(
    unit: UnitOfWork, kind: Kind, found: Sequence[Chosen], claimed: Mapping[str, NDArray[np.int32]]
) -> list[Chosen]:
    """The same without the rows for which a flag of the same category is open already: by the views, or `claimed` by
    a bulk that they do not show yet."""
    known = await _open_rows(unit, kind, [one.batch for one in found])
    for batch, rows in claimed.items():
        known[batch] = np.union1d(known[batch], rows).astype(np.int32) if batch in known else rows
    left = [one.without(known[one.batch]) if one.batch in known else one for one in found]
    return [one for one in left if len(one.rows)]


async def flag(
    service: Service, unit: UnitOfWork, kind: Kind, name: str, found: Sequence[Chosen], context: "By"
) -> list[Event]:
    """Append these rows to the flag `name`, in as many parts as they need. Raises Conflict."""
    subject = f"flag/{name}"
    sequence, state = await service.commands.state_in(unit, flags, subject)
    total, part, segments = state.total, state.parts, dict(state.segments)
    events: list[Event] = []
    for group in _grouped(found):
        table = _table(group)
        total, part = total + table.num_rows, part + 1
        _add(segments, table, service.settings.max_groups)
        payload = PredictionsFlagged(
            flag=name,
            part=part,
            deployment=kind.deployment,
            model=kind.model,
            version=kind.version,
            category=kind.category,
            severity=kind.severity,
            comment=kind.comment,
            via=kind.via,
            bulk=kind.bulk,
            rule=kind.rule,
            batches=tuple(sorted({one.batch for one in group})),
            rows=table.num_rows,
            total=total,
            segments=dict(sorted(segments.items())),
            due=kind.due,
        )
        first = not events and sequence == 0
        events.append(context.event(subject, sequence + len(events) + 1, name if first else new_id(), payload, table))
    return await unit.append(subject, sequence, events) if events else []


@dataclass(frozen=True, slots=True)
class By:
    """In whose name, when, and because of which event."""

    source: str
    actor: str
    at: datetime
    cause: str | None = None
    correlationid: str | None = None

    def event(self, subject: str, sequence: int, name: str, data: Any, table: pa.RecordBatch | None) -> Event:
        """An event of `data`, with a table where it is a batch."""
        bytes_ = batches.write(table) if table is not None else None
        return Event(
            name,
            self.source,
            subject,
            self.at,
            sequence,
            self.actor,
            data,
            self.cause,
            self.correlationid,
            table=bytes_,
        )


async def _open_rows(unit: UnitOfWork, kind: Kind, names: Sequence[str]) -> dict[str, NDArray[np.int32]]:
    """Rows by batch for which a flag of this category is open, on many or on one, by the views."""
    parts, single = list[Row](), list[Row]()
    of_one = (Where("category", "=", kind.category), Where("state", "in", sorted(OPEN_STATES)))
    for start in range(0, len(names), _PAGE):
        where = (Where("batch", "in", list(names[start : start + _PAGE])),)
        single += await unit.find(Query("flags", (*where, *of_one), limit=100_000, columns=("batch", "row")))
        parts += await unit.find(Query("flagged", where, limit=100_000, columns=("flag", "batch", "rows")))
    told = sorted({part["flag"] for part in parts})
    found: set[str] = set()
    for start in range(0, len(told), _PAGE):
        where = (Where("id", "in", told[start : start + _PAGE]), Where("category", "=", kind.category))
        rows = await unit.find(Query("flags", where, limit=_PAGE, columns=("id", "state")))
        found |= {row["id"] for row in rows if row["state"] in OPEN_STATES}
    ones: dict[str, list[int]] = {}
    for row in single:
        ones.setdefault(row["batch"], []).append(row["row"])
    known = {batch: np.unique(np.array(rows, np.int32)) for batch, rows in ones.items()}
    for part in parts:
        if part["flag"] in found:
            before = known.get(part["batch"], np.empty(0, np.int32))
            known[part["batch"]] = np.union1d(before, rows_of(part["rows"])).astype(np.int32)
    return known


def _grouped(found: Sequence[Chosen]) -> Iterator[list[Chosen]]:
    """In groups that one event can hold."""
    group: list[Chosen] = []
    rows = 0
    for one in found:
        if group and (len(group) == MAX_BATCHES or rows + len(one.rows) > MAX_ROWS):
            yield group
            group, rows = [], 0
        group.append(one)
        rows += len(one.rows)
    if group:
        yield group


def _table(group: Sequence[Chosen]) -> pa.RecordBatch:
    names = sorted({one.batch for one in group})
    codes = {name: code for code, name in enumerate(names)}
    lengths = [len(one.rows) for one in group]
    indices = np.repeat(np.array([codes[one.batch] for one in group], np.int32), lengths)
    columns: dict[str, Any] = {
        "batch": pa.DictionaryArray.from_arrays(pa.array(indices), pa.array(names)),
        "row": pa.array(np.concatenate([one.rows for one in group]), pa.int32()),
    }
    for column, name in (("prediction_id", "own"), ("segment", "segment"), ("expected", "expected")):
        values = [getattr(one, name) for one in group]
        if any(value is not None for value in values):
            pieces = [
                pa.nulls(length, pa.string()) if value is None else value.cast(pa.string())
                for value, length in zip(values, lengths, strict=True)
            ]
            columns[column] = pa.concat_arrays(pieces)
    return pa.record_batch(columns)


def _add(segments: dict[str, int], table: pa.RecordBatch, most: int) -> None:
    """Count the rows' segments; beyond `most` they are counted together."""
    if "segment" not in table.schema.names:
        return
    for one in table.column("segment").drop_null().value_counts().to_pylist():
        name = one["values"] if one["values"] in segments or len(segments) < most else OTHER
        segments[name] = segments.get(name, 0) + one["counts"]


def flag_of(flags_: Mapping[str, str], kind: Kind) -> str:
    """The flag that a bulk has for this kind, or a new one's id."""
    return flags_.get(kind.name) or new_id()
