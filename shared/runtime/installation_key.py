"""A secret key of this installation: set by whoever runs it, or made once and kept in a file."""

import os
import secrets
from pathlib import Path

from pydantic import SecretStr

MIN_KEY = 16


def installation_key(given: SecretStr | None, setting: str, path: Path) -> bytes:
    """The key `given` under the name of its setting, else the one in the file at `path`, made where it is missing.
    Raises ValueError where the given key is too short to protect anything."""
    if given is None:
        return _kept(path)
    key = given.get_secret_value().encode()
    if len(key) < MIN_KEY:
        raise ValueError(f"{setting} must have at least {MIN_KEY} characters")
    return key


def _kept(path: Path) -> bytes:
    """The key in a file of this user alone. Of processes that start at once one makes it, whole before it is seen."""
    path.parent.mkdir(parents=True, exist_ok=True)
    made = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    if not path.exists():
        handle = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(32))
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes().strip()
