"""Where blocks lie: a folder of this machine, or any store that pyarrow speaks to (`s3://`, `gs://`, …).

A file is written once under a name of its own and never changed, so readers need no lock.
"""

import asyncio
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pyarrow import fs

from shared.runtime.settings import Settings


class Unreadable(Exception):
    """A block's file is not there or cannot be read; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Files:
    """Files by a path below the root. Every method that takes its time runs in a thread of the caller's choice."""

    system: Any
    root: str
    local: bool

    @classmethod
    def of(cls, settings: Settings) -> "Files":
        """The place that the settings name. Raises ValueError for a URL that pyarrow does not know."""
        url = settings.archive_url or str(settings.data_dir / "archive")
        if "://" not in url:
            return cls(fs.LocalFileSystem(), str(Path(url).absolute()), True)
        system, root = fs.FileSystem.from_uri(url)
        return cls(system, root.rstrip("/"), isinstance(system, fs.LocalFileSystem))

    def write(self, path: str, data: pa.Buffer) -> None:
        """Write a new file whole; on a local disk it is on the disk when this returns."""
        if not self.local:
            with self.system.open_output_stream(self._at(path)) as sink:
                sink.write(data)
            return
        target = Path(self._at(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("wb") as sink:
            sink.write(data)
            sink.flush()
            os.fsync(sink.fileno())

    def open(self, path: str) -> Any:
        """A file for reading at any place. Raises Unreadable."""
        try:
            return self.system.open_input_file(self._at(path))
        except OSError as error:
            raise Unreadable(f"{path}: {error}") from error

    def delete(self, path: str) -> None:
        """Remove a file, if it is there."""
        try:
            self.system.delete_file(self._at(path))
        except FileNotFoundError:
            return

    def paths(self) -> Iterator[str]:
        """Every file below the root."""
        selector = fs.FileSelector(self.root, allow_not_found=True, recursive=True)
        for info in self.system.get_file_info(selector):
            if info.type == fs.FileType.File:
                yield info.path[len(self.root) + 1 :]

    def _at(self, path: str) -> str:
        return f"{self.root}/{path}"


async def in_thread(work: Any, *arguments: Any) -> Any:
    """Run what reads or writes files beside the requests."""
    return await asyncio.to_thread(work, *arguments)
