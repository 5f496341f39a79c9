"""Entries out of cold parts, through a cache of row groups that is bounded in bytes. Every entry is checked against the
leaf hash that the ledger keeps, so that altered bytes are never served."""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from services.audit.domain.merkle import leaf_hash
from services.audit.parts.file import NotAPart, PartFile
from services.audit.parts.place import Place
from services.audit.projection.parts import PARTS
from shared.log.tables import Query, Row, Where
from shared.runtime.problems import Problem

MAX_FOOTERS = 64
"""Files whose footers are remembered; one of 65,536 leaves is some tens of kilobytes."""

OVERHEAD = 100
"""Bytes that a remembered entry costs beside its text."""

_FIX = "Restore the file from a copy. A verification tells which parts are whole; a rebuild takes entries from the log."


class PartLost(Problem):
    """An entry that no file gives any more: the file is gone, or altered."""

    def __init__(self, part: Row, reason: str) -> None:
        super().__init__(410, "ledger-part-lost", f"{named(part)}: {reason}.", _FIX)


class PartOutOfReach(Problem):
    """The place where parts lie cannot be reached now."""

    def __init__(self, part: Row, reason: object) -> None:
        detail = f"{named(part)} cannot be read now: {reason}."
        super().__init__(503, "ledger-part-out-of-reach", detail, "Try again.", headers={"Retry-After": "5"})


def named(part: Row) -> str:
    """A part as texts name it."""
    return f"ledger part {part['part']} (leaves {part['first']} to {part['end'] - 1}, {part['file']})"


@dataclass(slots=True)
class ColdParts:
    """`most`: bytes of entries that are remembered."""

    store: Any
    place: Place
    most: int
    held: int = 0
    _groups: "OrderedDict[tuple[str, int], dict[int, str]]" = field(
        default_factory=OrderedDict[tuple[str, int], "dict[int, str]"]
    )
    _sizes: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    _footers: "OrderedDict[str, PartFile]" = field(default_factory=OrderedDict[str, PartFile])
    _turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def fill(self, rows: Sequence[Row]) -> None:
        """Put the entries in where they are null, of ledger rows with `entry`, `cold` and `leaf`. Raises PartLost,
        PartOutOfReach."""
        wanted = sorted((row for row in rows if row["entry"] is None and row["cold"] is not None), key=_cold)
        part: Row | None = None
        for row in wanted:
            leaf: int = row["cold"]
            if part is None or not part["first"] <= leaf < part["end"]:
                part = await self._part(leaf)
            entry = (await self._group(part, leaf)).get(leaf)
            if entry is None or leaf_hash(entry.encode()) != row["leaf"]:
                raise PartLost(part, f"it does not hold the entry of leaf {leaf}, of event {row.get('event_id')}")
            row["entry"] = entry

    async def _part(self, leaf: int) -> Row:
        query = Query(PARTS.name, (Where("first", "<=", leaf),), ("-first",), 1)
        rows = await self.store.find(query)
        if not rows or leaf >= rows[0]["end"]:
            raise Problem(410, "ledger-part-lost", f"No part is known that holds leaf {leaf}.", _FIX)
        return rows[0]

    async def _group(self, part: Row, leaf: int) -> dict[int, str]:
        """The entries of the row group in which a leaf lies, by leaf."""
        async with self._turn:  # who asks for the same rows meanwhile finds them remembered
            try:
                file = self._footers.get(part["file"]) or await asyncio.to_thread(self._open, part["file"])
                key = (part["file"], file.group_of(leaf))
                if key in self._groups:
                    self._groups.move_to_end(key)
                    return self._groups[key]
                found: dict[int, str] = dict(await asyncio.to_thread(file.group, key[1]))
            except FileNotFoundError as error:
                raise PartLost(part, "its file is gone") from error
            except NotAPart as error:
                raise await self._why(part, error) from error
            except OSError as error:
                raise PartOutOfReach(part, error) from error
            self._remember(key, found)
            return found

    async def _why(self, part: Row, error: NotAPart) -> Problem:
        """Whether a file that cannot be read was altered, or only its place cannot be reached."""
        try:
            held = await asyncio.to_thread(partial(self.place.digest, part["file"]))
        except FileNotFoundError:
            return PartLost(part, "its file is gone")
        except OSError as failed:
            return PartOutOfReach(part, failed)
        self._footers.pop(part["file"], None)
        if held == (part["sha256"], part["length"]):
            return PartOutOfReach(part, error)
        return PartLost(part, f"its file was altered: {error}")

    def _open(self, name: str) -> PartFile:
        file = PartFile.of(partial(self.place.open, name))
        _ = file.starts  # read here, beside the requests
        self._footers[name] = file
        while len(self._footers) > MAX_FOOTERS:
            self._footers.popitem(last=False)
        return file

    def _remember(self, key: tuple[str, int], found: dict[int, str]) -> None:
        self._groups[key] = found
        self._sizes[key] = sum(len(entry) + OVERHEAD for entry in found.values())
        self.held += self._sizes[key]
        while self.held > self.most and len(self._groups) > 1:
            oldest, _ = self._groups.popitem(last=False)
            self.held -= self._sizes.pop(oldest)


def _cold(row: Row) -> int:
    return row["cold"]
