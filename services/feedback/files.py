"""What is kept under its digest, outside the views, which a rebuild empties: attachments and data sets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.fs as pa_fs

from shared.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Files:
    """A folder, here or in an object store."""

    system: Any
    folder: str

    @classmethod
    def of(cls, settings: Settings, url: str, name: str) -> "Files":
        """At `url`, a folder or `s3://BUCKET/PREFIX`; empty: `name` in `data_dir`."""
        if "://" in url:
            return cls(*pa_fs.FileSystem.from_uri(url))
        return cls(pa_fs.LocalFileSystem(), str(Path(url or settings.data_dir / name).resolve()))

    def keep(self, name: str, data: bytes) -> None:
        """Write a file; what is there already under this name is the same."""
        self.system.create_dir(self.folder, recursive=True)
        with self.system.open_output_stream(f"{self.folder}/{name}") as file:
            file.write(data)

    def read(self, name: str) -> bytes:
        """Raises FileNotFoundError."""
        with self.system.open_input_file(f"{self.folder}/{name}") as file:
            return file.read()
