"""How many rows were answered and how many of them the log has: two numbers per version in a file that outlives the
process, so that what a `kill -9` loses is counted at the next start.

The file is mapped into memory: a count costs no system call, and what is in it survives the process (not the machine).
A process locks its file as long as it lives. Layout: SLOTS slots of SLOT_BYTES, each two unsigned 64-bit numbers
(answered, logged; the machine's byte order), a label, `DEPLOYMENT` line break `VERSION` in UTF-8, padded with zeros,
and one more number: refused, those of the rows not logged that the log never takes.
"""

import fcntl
import mmap
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from shared.events.deployer import LossReason
from shared.runtime.commands import new_id
from shared.runtime.predictions import Target

FOLDER = "answers"
SLOTS = 1_024
SLOT_BYTES = 256
_WORDS = SLOT_BYTES // 8
_LABEL = 16
_REFUSED = _WORDS - 1
_LABEL_END = _REFUSED * 8


@dataclass(frozen=True, slots=True)
class Lost:
    """Rows of a version that a process answered and did not bring to the log, before its end or ever."""

    deployment: str
    version: int
    rows: int
    reason: LossReason = "ended"


@dataclass(slots=True)
class Tally:
    """The counts of this process, in a file of its own below `folder` once the first answer was given."""

    folder: Path
    _cells: dict[tuple[str, int], int] = field(default_factory=dict[tuple[str, int], int])
    _words: Any = None
    _map: mmap.mmap | None = None
    _file: int = -1
    _path: Path | None = None

    def cell(self, target: Target) -> int | None:
        """Where a version is counted; None where there is no room for another one."""
        key = (target.deployment, target.version)
        found = self._cells.get(key)
        if found is None and len(self._cells) < SLOTS:
            found = self._cells[key] = self._begun(len(self._cells), key)
        return found

    def answered(self, cell: int, rows: int) -> None:
        self._words[cell] += rows

    def logged(self, cell: int, rows: int) -> None:
        self._words[cell + 1] += rows

    def refused(self, cell: int, rows: int) -> None:
        self._words[cell + _REFUSED] += rows

    def close(self) -> None:
        """The end of a process that lost nothing leaves no file; where it did, its file tells the next start."""
        if self._map is None or self._path is None:
            return
        lost = any(self._words[cell] != self._words[cell + 1] for cell in self._cells.values())
        self._words.release()
        self._map.close()
        if not lost:
            self._path.unlink(missing_ok=True)
        os.close(self._file)
        self._map = self._path = self._words = None
        self._cells.clear()

    def _begun(self, slot: int, key: tuple[str, int]) -> int:
        if self._map is None:
            self._open()
        label = f"{key[0]}\n{key[1]}".encode()[: _LABEL_END - _LABEL]
        start = slot * SLOT_BYTES + _LABEL
        assert self._map is not None  # noqa: S101  opened above
        self._map[start : start + len(label)] = label
        return slot * _WORDS

    def _open(self) -> None:
        folder = self.folder / FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / f"{new_id()}.tally"
        # locked before it has its name, so that no other process takes it for one that was left behind
        draft = self._path.with_suffix(".new")
        self._file = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        os.ftruncate(self._file, SLOTS * SLOT_BYTES)
        draft.rename(self._path)
        self._map = mmap.mmap(self._file, SLOTS * SLOT_BYTES)
        self._words = memoryview(self._map).cast("Q")


def left_behind(folder: Path) -> Iterator[tuple[Path, list[Lost]]]:
    """What processes that are no more lost: each file that nobody locks any more, for the caller to remove once it has
    told. The file stays locked while the caller looks at it."""
    for path in sorted((folder / FOLDER).glob("*.tally")):
        try:
            file = os.open(path, os.O_RDWR)
        except FileNotFoundError:
            continue
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield path, _lost(os.read(file, SLOTS * SLOT_BYTES))
        except BlockingIOError:
            continue
        finally:
            os.close(file)


def _lost(data: bytes) -> list[Lost]:
    found: list[Lost] = []
    words = memoryview(data).cast("Q")
    for slot in range(len(data) // SLOT_BYTES):
        answered, logged = words[slot * _WORDS], words[slot * _WORDS + 1]
        refused = words[slot * _WORDS + _REFUSED]
        label = data[slot * SLOT_BYTES + _LABEL : slot * SLOT_BYTES + _LABEL_END].rstrip(b"\0").decode()
        deployment, _, version = label.partition("\n")
        if answered - refused > logged:
            found.append(Lost(deployment, int(version), answered - refused - logged))
        if refused:
            found.append(Lost(deployment, int(version), refused, "refused"))
    return found
