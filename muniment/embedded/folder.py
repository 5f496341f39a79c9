"""The data folder: where everything lies, and the lock that keeps a second instance out."""

import fcntl
import hashlib
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

_SOCKET_PATH_LIMIT = 90  # of 107 bytes in all, so that every socket's name fits behind it


class CannotStart(Exception):
    """Why the embedded system does not come up, for a person to read."""


class AlreadyRuns(CannotStart):
    """Another instance holds the data folder."""


@dataclass(slots=True)
class DataFolder:
    """`root` holds everything that must survive; `sockets` only what lives as long as the processes."""

    root: Path
    sockets: Path
    _lock: int

    @property
    def postgres(self) -> Path:
        return self.root / "postgres"

    @property
    def valkey(self) -> Path:
        return self.root / "valkey"

    def tell(self, text: str) -> None:
        """Write who holds the lock, for the message to a second instance."""
        os.ftruncate(self._lock, 0)
        os.pwrite(self._lock, text.encode(), 0)

    def release(self) -> None:
        os.close(self._lock)


def open_folder(root: Path) -> DataFolder:
    """Create the folder where it is missing, and lock it until `release` or the end of the process, however it ends.

    Raises CannotStart.
    """
    root = root.expanduser().absolute()
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = os.open(root / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise CannotStart(f"the data folder {root} cannot be used: {error.strerror}") from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(lock, 1000, 0).decode(errors="replace")
        os.close(lock)
        detail = f" ({holder})" if holder else ""
        raise AlreadyRuns(f"Muniment already runs on {root}{detail}; stop it, or name another --data-dir") from error
    return DataFolder(root, _socket_folder(root), lock)


def running_folder(root: Path) -> DataFolder:
    """The folder of an instance that runs, to find its sockets; not to be written to or released."""
    root = root.expanduser().absolute()
    return DataFolder(root, _socket_folder(root), -1)


def _socket_folder(root: Path) -> Path:
    """Below the data folder where the path is short enough for sockets, else one of its own for this user."""
    inside = root / "run"
    if len(os.fsencode(inside)) <= _SOCKET_PATH_LIMIT:
        inside.mkdir(exist_ok=True)
        return inside
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:12]
    outside = Path(tempfile.gettempdir()) / f"muniment-{os.geteuid()}-{name}"
    outside.mkdir(mode=0o755, exist_ok=True)
    if outside.is_symlink() or outside.stat().st_uid != os.geteuid():
        raise CannotStart(f"{outside} belongs to somebody else")
    return outside
