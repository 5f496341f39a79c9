"""Background processes with a pid file each, and free ports."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PORTS: Sequence[int] = range(20_000, 32_000)
_marks: list[socket.socket] = []


class NotReady(Exception):
    """A server ended or did not answer in time; the message names its log."""


def free_port() -> int:
    """A port for a server that is about to start, given to nobody else as long as this process lives.

    It lies below the ports that the kernel hands out by itself. The mark that it is taken is a datagram socket on the
    same number: the server listens on the other protocol, and other processes that call this see it. Raises OSError
    where none is left.
    """
    for port in random.sample(PORTS, len(PORTS)):
        mark = socket.socket(type=socket.SOCK_DGRAM)
        try:
            mark.bind(("127.0.0.1", port))
        except OSError:
            mark.close()
            continue
        if is_free(port):
            _marks.append(mark)
            return port
        mark.close()
    raise OSError(f"no port is free from {PORTS[0]} to {PORTS[-1]}")


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def launch(folder: Path, name: str, command: Sequence[str], **options: Any) -> int:
    """Start `command` in a session of its own, its output in `NAME.log`, its pid in `NAME.pid`."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / f"{name}.log").open("ab") as log:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **options
        )
    (folder / f"{name}.pid").write_text(f"{process.pid} {_born(process.pid)}")
    return process.pid


def running(folder: Path, name: str) -> int | None:
    """The pid of the process in `NAME.pid`, if that very process still runs."""
    try:
        pid, born = (folder / f"{name}.pid").read_text().split()
    except (OSError, ValueError):
        return None
    return int(pid) if _born(int(pid)) == born else None


def stop(folder: Path, name: str, by: signal.Signals = signal.SIGTERM, seconds: float = 30.0) -> None:
    """Send `by`, wait until the process is gone, and kill it if it does not go."""
    pid = running(folder, name)
    if pid is not None:
        os.kill(pid, by)
        deadline = time.monotonic() + seconds
        while running(folder, name) is not None:
            if time.monotonic() > deadline:
                os.kill(pid, signal.SIGKILL)
                deadline += seconds
            _reap(pid)
            time.sleep(0.05)
    (folder / f"{name}.pid").unlink(missing_ok=True)


def wait_for_port(folder: Path, name: str, port: int, seconds: float = 60.0) -> None:
    """Return when something listens on the port. Raises NotReady."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError as error:
            if running(folder, name) is None or time.monotonic() > deadline:
                raise NotReady(f"{name} is not up on port {port}; see {folder / f'{name}.log'}") from error
            time.sleep(0.05)
        else:
            if running(folder, name) is None:
                raise NotReady(f"{name} ended, and something else is on port {port}; see {folder / f'{name}.log'}")
            return


def _born(pid: int) -> str:
    """When the process started, so that a pid used again is not taken for it; empty if there is none."""
    try:
        state, *rest = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state == "Z" else rest[18]


def _reap(pid: int) -> None:
    try:
        os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return


def properties(values: Mapping[str, object]) -> str:
    """A Java properties file."""
    return "".join(f"{name}={value}\n" for name, value in values.items())
