"""One step of a bulk by list: ids to batches and rows; what is not known becomes a flag that waits."""

# pyright: reportAttributeAccessIssue=false

from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc

from services.feedback.domain import flags
from services.feedback.domain.bulk import Advance, Bulk
from services.feedback.domain.flags import Raise
from services.feedback.domain.limits import OPEN_STATES
from services.feedback.domain.naming import flag_id, words_of
from services.feedback.worker.claiming import claim, claimed, hold
from services.feedback.worker.due import due_of
from services.feedback.worker.flagging import By, Chosen, Kind, flag, not_flagged
from services.feedback.worker.places import in_chunks, tables_of
from shared.events import batches
from shared.events.feedback import BulkFlagRequested
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, equal
from shared.runtime.commands import Context, new_id
from shared.runtime.service import Service

Said = tuple[str, str]
"""Category and severity of a row of the list; "" where the bulk's own counts."""

SERVER_ID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}-[0-9]{1,5}$"


async def part_at(unit: UnitOfWork, bulk: str, first: int) -> Row | None:
    """The part of the list that begins at this id; None behind the last."""
    rows = await unit.find(Query("bulk_work", equal(bulk=bulk, first=first), limit=1))
    return rows[0] if rows and rows[0]["listed"] is not None else None


@dataclass(slots=True)
class ListStep:
    service: Service
    unit: UnitOfWork
    state: Bulk
    asked: BulkFlagRequested
    by: By

    async def command(self, part: Row) -> Advance:
        """Flag what one part of the list names."""
        listed = batches.read(part["listed"])
        batch, row = await self._resolved(listed.column("prediction_id"))
        known = {one["batch"]: one for one in await in_chunks(self.unit, "batches", "batch", set(batch) - {""})}
        rows = np.array([known[name]["rows"] if name in known else 0 for name in batch])
        fits = row < rows
        refused = int(sum(name in known for name in np.array(batch)[~fits]))
        unknown = [place for place in np.flatnonzero(~fits) if batch[place] not in known]
        room = max(0, self.service.settings.max_bulk_pending - self.state.pending)
        for place in unknown[:room]:
            await self._wait(listed.slice(int(place), 1).to_pylist()[0])
        refused += len(unknown[room:])
        named = _chosen(listed, batch, row, np.flatnonzero(fits))
        found = await self._with_segments(named, known)
        flags_, flagged = await self._flag(found, known)
        waiting = len(unknown[:room])
        end = part["first"] + listed.num_rows
        return Advance((-1, -1), end, listed.num_rows, flagged, flags_, waiting, refused)

    async def _resolved(self, ids: pa.Array) -> tuple[list[str], np.ndarray[Any, Any]]:
        """Batch ("" where it is not known) and row of each id."""
        given = pc.match_substring_regex(ids, SERVER_ID)
        batch: list[str] = pc.if_else(given, pc.utf8_slice_codeunits(ids, 0, 36), "").to_pylist()
        row = pc.if_else(given, pc.utf8_slice_codeunits(ids, 37, 42), "0").cast(pa.int64()).to_numpy().copy()
        own = {place: ids[place].as_py() for place, name in enumerate(batch) if not name}
        known = {one["id"]: one for one in await in_chunks(self.unit, "client_ids", "id", own.values())}
        for place, name in own.items():
            if name in known:
                batch[place], row[place] = known[name]["batch"], known[name]["row"]
        return batch, row

    async def _flag(self, found: list[tuple[Said, Chosen]], known: dict[str, Row]) -> tuple[dict[str, str], int]:
        kinds: dict[Kind, list[Chosen]] = {}
        for (category, severity), one in found:
            at = known[one.batch]
            kind = Kind(
                at["deployment"],
                at["model"],
                at["version"],
                category or self.asked.category,
                severity or self.asked.severity,  # type: ignore[arg-type]
                self.asked.comment,
                self.asked.via,
                bulk=self.asked.bulk,
                due=due_of(self.service.settings, severity or self.asked.severity, self.by.at),  # type: ignore[arg-type]
            )
            kinds.setdefault(kind, []).append(one)
        flags_: dict[str, str] = {}
        flagged = 0
        await hold(self.unit, kinds)
        for kind, all_ in kinds.items():
            fresh = await not_flagged(self.unit, kind, all_, await claimed(self.unit, kind))
            if fresh:
                name = f"{kind.deployment}/{kind.name}"
                flags_[name] = self.state.flags.get(name) or new_id()
                stated = await flag(self.service, self.unit, kind, flags_[name], fresh, self.by)
                await claim(self.unit, self.asked.bulk, kind, stated)
                flagged += sum(len(one.rows) for one in fresh)
        return flags_, flagged

    async def _with_segments(
        self, found: list[tuple[Said, Chosen]], known: dict[str, Row]
    ) -> list[tuple[Said, Chosen]]:
        """The rows with their own ids and segments, which the log tells."""
        names = {one.batch for _, one in found}
        rows = [row for name, row in known.items() if name in names and row["offset"] is not None]
        columns: dict[str, dict[str, pa.Array]] = {}
        async for row, table in tables_of(self.service.log, rows):
            kept = [name for name in ("prediction_id", "segment") if name in table.schema.names]
            columns[row["batch"]] = {name: table.column(name) for name in kept}
        told: list[tuple[Said, Chosen]] = []
        for key, one in found:
            of = {name: column.take(pa.array(one.rows)) for name, column in columns.get(one.batch, {}).items()}
            told.append((key, Chosen(one.batch, one.rows, of.get("prediction_id"), of.get("segment"), one.expected)))
        return told

    async def _wait(self, said: dict[str, Any]) -> None:
        """A flag of its own for a prediction that is not known yet; the one that waits already, where the same person
        said the same before."""
        severity = said.get("severity") or self.asked.severity
        expected = orjson.loads(said["expected"]) if said.get("expected") is not None else self.asked.expected
        named, category = said["prediction_id"], said.get("category") or self.asked.category
        words = {"prediction_id": named, "category": category, "severity": severity, "expected": expected}
        told = words_of(self.by.actor, words | {"comment": self.asked.comment})
        name, again = flag_id(told), 0
        known = await self.service.commands.state_in(self.unit, flags, f"flag/{name}")
        while known[1].state not in ("none", *OPEN_STATES):  # answered, and said anew
            again += 1
            name = flag_id(told, again)
            known = await self.service.commands.state_in(self.unit, flags, f"flag/{name}")
        if known[1].state != "none":
            return
        due = due_of(self.service.settings, severity, self.by.at)
        command = Raise(
            name, named, None, category, severity, expected, self.asked.comment, via=self.asked.via, due=due
        )
        context = Context(self.by.actor, self.by.at, name, self.by.correlationid, self.by.cause)
        await self.service.commands.handle_in(self.unit, flags, f"flag/{name}", command, context, known)


def _chosen(
    listed: pa.RecordBatch, batch: list[str], row: np.ndarray[Any, Any], places: np.ndarray[Any, Any]
) -> list[tuple[Said, Chosen]]:
    """((category, severity), rows of one batch) of these places of the list; each row once."""
    texts = {name: listed.column(name).to_pylist() for name in ("category", "severity") if name in listed.schema.names}
    expected = listed.column("expected") if "expected" in listed.schema.names else None
    groups: dict[tuple[str, Said], dict[int, int]] = {}
    for place in places.tolist():
        category, severity = (texts[name][place] or "" if name in texts else "" for name in ("category", "severity"))
        groups.setdefault((batch[place], (category, severity)), {}).setdefault(int(row[place]), place)
    found: list[tuple[Said, Chosen]] = []
    for (name, kind), rows in groups.items():
        order = sorted(rows)
        at = pa.array([rows[one] for one in order])
        said = expected.take(at) if expected is not None else None
        found.append((kind, Chosen(name, np.array(order, np.int32), expected=said)))
    return found
