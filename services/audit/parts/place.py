"""Where cold parts lie: a folder of this machine, or any store that pyarrow speaks to (`s3://`, `gs://`, …).

A file is named by its leaves and its digest, written once and never changed. Every method blocks: call it in a thread.
"""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyarrow import fs

from shared.runtime.settings import Settings

CHUNK = 2**20
SUFFIX = ".parquet"


@dataclass(frozen=True, slots=True)
class Place:
    """Files below a root."""

    system: Any
    root: str

    @classmethod
    def of(cls, settings: Settings) -> "Place":
        """The place that the settings name. Raises ValueError for a URL that pyarrow does not know."""
        return cls.at(settings.ledger_url or str(settings.data_dir / "ledger"))

    @classmethod
    def at(cls, url: str) -> "Place":
        """The place of a URL, or of a folder. Raises ValueError."""
        if "://" not in url:
            return cls(fs.LocalFileSystem(), str(Path(url).absolute()))
        system, root = fs.FileSystem.from_uri(url)
        return cls(system, root.rstrip("/"))

    def put(self, name: str, source: Path) -> None:
        """Keep a file's bytes under a name; on a local disk they are on the disk when this returns. Raises OSError."""
        target = self._at(name)
        if not isinstance(self.system, fs.LocalFileSystem):
            with source.open("rb") as given, self.system.open_output_stream(target) as sink:
                shutil.copyfileobj(given, sink, CHUNK)
            return
        folder = Path(target).parent
        folder.mkdir(parents=True, exist_ok=True)
        draft = Path(f"{target}.{os.getpid()}")
        with source.open("rb") as given, draft.open("wb") as sink:
            shutil.copyfileobj(given, sink, CHUNK)
            sink.flush()
            os.fsync(sink.fileno())
        draft.replace(target)
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # the name, too
        finally:
            os.close(descriptor)

    def open(self, name: str) -> Any:
        """A file for reading at any place. Raises FileNotFoundError, OSError."""
        return self.system.open_input_file(self._at(name))

    def digest(self, name: str) -> tuple[str, int]:
        """SHA-256 (hex) and length of a file's bytes. Raises FileNotFoundError, OSError."""
        hashed, length = sha256(), 0
        with self.system.open_input_stream(self._at(name)) as source:
            while piece := source.read(CHUNK):
                hashed.update(piece)
                length += len(piece)
        return hashed.hexdigest(), length

    def names(self) -> Iterator[str]:
        """The parts below the root, in the order of their names. Raises OSError."""
        selector = fs.FileSelector(self.root, allow_not_found=True)
        names = sorted(info.base_name for info in self.system.get_file_info(selector))
        yield from (name for name in names if name.endswith(SUFFIX))

    def _at(self, name: str) -> str:
        return f"{self.root}/{name}"
