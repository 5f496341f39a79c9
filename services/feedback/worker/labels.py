"""Labels that experts corrected, as rows for the monitor to take as outcomes."""

# pyright: reportAttributeAccessIssue=false

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from services.feedback.domain.flags import number_of
from services.feedback.projection.parts import rows_of
from services.feedback.worker.flagging import By
from shared.events import batches
from shared.events.envelope import Event
from shared.events.feedback import FlagResolved, LabelsCorrected
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, equal
from shared.runtime.commands import new_id
from shared.runtime.predictions import times_column

PAGE = 200
Label = tuple[str, float]


@dataclass(slots=True)
class Labels:
    """Within one unit of work."""

    unit: UnitOfWork
    source: str

    async def state(self, event: Event, flag: Row, merged: Sequence[Row]) -> None:
        """Append LabelsCorrected for every prediction of the flag, and of those merged into it, that has a number for
        its outcome. A stream of its own for each flag: what was stated once is not stated again."""
        said = event.data
        if not isinstance(said, FlagResolved) or said.resolution != "label_corrected" or flag["version"] is None:
            return
        subject = f"labels/{said.flag}"
        if await self.unit.load(subject):
            return
        by = By(self.source, event.actor, event.time, event.id, event.correlationid)
        events: list[Event] = []
        async for labels in self._labels(flag, said.label, merged):
            for start in range(0, len(labels), batches.MAX_ROWS):
                part = labels[start : start + batches.MAX_ROWS]
                payload = LabelsCorrected(
                    flag=said.flag,
                    deployment=flag["deployment"],
                    model=flag["model"],
                    version=flag["version"],
                    rows=len(part),
                    part=len(events) + 1,
                )
                events.append(by.event(subject, len(events) + 1, new_id(), payload, _table(part, event)))
        if events:
            await self.unit.append(subject, 0, events)

    async def _labels(self, flag: Row, label: float | None, merged: Sequence[Row]) -> AsyncIterator[list[Label]]:
        single = [(one, label) for one in merged]
        if flag["prediction_id"]:
            single.append((flag, label))
        found = [(one["prediction_id"], _label(given, one["expected"])) for one, given in single if one["batch"]]
        yield [(name, value) for name, value in found if value is not None]
        for one in (flag, *merged):
            if not one["prediction_id"]:
                async for labels in self._of_many(one["id"], label):
                    yield labels

    async def _of_many(self, flag: str, label: float | None) -> AsyncIterator[list[Label]]:
        after: tuple[str | int, ...] | None = None
        while True:
            rows = await self.unit.find(Query("flagged", equal(flag=flag), ("batch", "part"), PAGE, after))
            labels: list[Label] = []
            for row in rows:
                labels += _of_part(row, label)
            yield labels
            if len(rows) < PAGE:
                return
            last = rows[-1]
            after = (last["batch"], last["part"], flag, last["batch"], last["part"])  # the order, then the key


def _of_part(row: Row, label: float | None) -> list[Label]:
    details = row["details"] or {}
    own, expected = details.get("prediction_id", {}), details.get("expected", {})
    found: list[Label] = []
    for at in rows_of(row["rows"]).tolist():
        value = _label(label, expected.get(str(at)))
        if value is not None:
            found.append((own.get(str(at)) or batches.prediction_id(row["batch"], at), value))
    return found


def _label(given: float | None, expected: object) -> float | None:
    """What the answer says came true, else what the flag expected."""
    return given if given is not None else number_of(expected)


def _table(labels: Sequence[Label], event: Event) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "prediction_id": pa.array([name for name, _ in labels], pa.string()),
            "at": times_column([event.time] * len(labels)),
            "value": pa.array([value for _, value in labels], pa.float64()),
        }
    )
