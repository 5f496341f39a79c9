"""Copies of checkpoints in other hands: a folder or an object store that holds each of them, and the newest."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyarrow import fs


class CopyDiffers(Exception):
    """The place holds another checkpoint of this size already: two views of one record. `str(error)` says where."""


@dataclass(frozen=True, slots=True)
class Copies:
    """`checkpoint` is the newest, `checkpoints/SIZE` each one, never written over. Every method blocks: call it in a
    thread. Raises OSError where the place cannot be reached."""

    url: str
    system: Any
    root: str

    @classmethod
    def of(cls, url: str) -> "Copies":
        """The place of a URL, or of a folder. Raises ValueError for a URL that pyarrow does not know."""
        if "://" not in url:
            return cls(url, fs.LocalFileSystem(), str(Path(url).absolute()))
        system, root = fs.FileSystem.from_uri(url)
        return cls(url, system, root.rstrip("/"))

    def put(self, size: int, text: str, note: str) -> None:
        """Keep a checkpoint; `text` is what its note says, without signatures. An older one, as while the views are
        rebuilt, does not take the newest one's place. Raises CopyDiffers."""
        name = f"checkpoints/{size:019d}"
        held = self.read(name)
        if held is not None and not held.startswith(text + "\n"):
            raise CopyDiffers(f"{self.url} holds another checkpoint of {size} leaves than the one on record")
        if held is None:
            self._write(name, note)
        if self._newest() <= size:
            self._write("checkpoint", note)

    def sizes(self) -> list[int]:
        """The sizes of the checkpoints that are kept there, ascending."""
        selector = fs.FileSelector(f"{self.root}/checkpoints", allow_not_found=True)
        names = [info.base_name for info in self.system.get_file_info(selector)]
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def of_size(self, size: int) -> str | None:
        """The note of this size."""
        return self.read(f"checkpoints/{size:019d}")

    def _newest(self) -> int:
        """The size that `checkpoint` tells, if such a checkpoint is kept; else 0."""
        _, _, rest = (self.read("checkpoint") or "").partition("\n")
        size = rest.partition("\n")[0]
        told = int(size) if size.isascii() and size.isdigit() and len(size) < 20 else 0
        return told if told and self.of_size(told) is not None else 0

    def read(self, name: str) -> str | None:
        try:
            with self.system.open_input_stream(f"{self.root}/{name}") as source:
                data: bytes = source.read()
        except FileNotFoundError:
            return None
        return data.decode(errors="replace")

    def _write(self, name: str, text: str) -> None:
        target = f"{self.root}/{name}"
        if not isinstance(self.system, fs.LocalFileSystem):
            with self.system.open_output_stream(target) as sink:
                sink.write(text.encode())
            return
        Path(target).parent.mkdir(parents=True, exist_ok=True)
        draft = Path(f"{target}.{os.getpid()}")
        draft.write_text(text)
        draft.replace(target)
