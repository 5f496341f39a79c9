"""Where issued reports lie: files named by the SHA-256 of their bytes, written once and never changed."""

import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from pyarrow import fs

from shared.runtime.settings import Settings


class Missing(Exception):
    """A file is not there, or its bytes are no longer those of its name; `str(error)` says which."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """Files below a root. Every method blocks: call it in a thread."""

    system: Any
    root: str

    @classmethod
    def of(cls, settings: Settings) -> "Shelf":
        """The place that the settings name. Raises ValueError for a URL that pyarrow does not know."""
        url = settings.reports_url or str(settings.data_dir / "reports")
        if "://" not in url:
            return cls(fs.LocalFileSystem(), str(Path(url).absolute()))
        system, root = fs.FileSystem.from_uri(url)
        return cls(system, root.rstrip("/"))

    def put(self, data: bytes) -> str:
        """Keep the bytes; answers their SHA-256 (hex)."""
        name = sha256(data).hexdigest()
        if isinstance(self.system, fs.LocalFileSystem):
            _write(Path(self._at(name)), data)
        else:
            with self.system.open_output_stream(self._at(name)) as sink:
                sink.write(data)
        return name

    def get(self, name: str) -> bytes:
        """The bytes with this SHA-256. Raises Missing where they are gone or altered."""
        try:
            with self.system.open_input_stream(self._at(name)) as source:
                data: bytes = source.read()
        except OSError as error:
            raise Missing("its file is gone from where reports lie") from error
        if sha256(data).hexdigest() != name:
            raise Missing("its file was altered: the bytes no longer have the SHA-256 that was stated")
        return data

    def _at(self, name: str) -> str:
        return f"{self.root}/{name[:2]}/{name}"


def _write(target: Path, data: bytes) -> None:
    """On the disk when this returns, and whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f"{target.name}.{os.getpid()}")
    with draft.open("wb") as sink:
        sink.write(data)
        sink.flush()
        os.fsync(sink.fileno())
    draft.replace(target)
