"""Processes that must not outlive us: started in a session of their own, and told by the kernel when we die."""

import ctypes
import os
import pwd
import signal
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_PR_SET_PDEATHSIG = 1
_SYSTEM_USERS = ("postgres", "embedded_postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Owner:
    """The user that a child runs as: PostgreSQL refuses to run as root."""

    uid: int
    gid: int

    @property
    def changes(self) -> bool:
        return self.uid != os.geteuid()


def unprivileged() -> Owner:
    """We ourselves, or where we are root a system user without rights."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid())
    for name in _SYSTEM_USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid)
    raise RuntimeError(f"PostgreSQL does not run as root, and this system has none of the users {_SYSTEM_USERS}")


def let_through(path: Path) -> None:
    """Let other users pass (not list) the folders that lead to `path`, where we own them."""
    for folder in path.parents:
        status = folder.stat()
        if not status.st_mode & 0o001 and status.st_uid == os.geteuid():
            folder.chmod(status.st_mode | 0o001)


def start(command: Sequence[str], owner: Owner, folder: Path, log: Path, last_word: signal.Signals) -> Any:
    """Start a child; the kernel sends it `last_word` when this process dies, however that comes (Linux).

    Call it from the main thread: the kernel minds the thread that started the child.
    """
    with log.open("ab") as output:
        return subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C at the terminal is ours to pass on, in the right order
            preexec_fn=_deathwatch(last_word),
            **as_user(owner),
        )


def as_user(owner: Owner) -> dict[str, Any]:
    """Arguments of subprocess that change the user, if it changes."""
    return {"user": owner.uid, "group": owner.gid, "extra_groups": []} if owner.changes else {}


def stop(child: "subprocess.Popen[bytes]", word: signal.Signals, seconds: float) -> None:
    """Ask a child to end, and make it where it does not."""
    if child.poll() is None:
        child.send_signal(word)
        try:
            child.wait(seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _deathwatch(word: signal.Signals) -> Any:
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    number = int(word)
    return lambda: libc.prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
