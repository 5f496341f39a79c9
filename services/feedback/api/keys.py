"""The key that signs links."""

import os
import secrets
from pathlib import Path

from shared.runtime.settings import Settings

FILE = "flag-signing-key"
MIN_KEY = 16


def link_key(settings: Settings) -> bytes:
    """From `flag_signing_key`, or from a file in `data_dir`, made where it is missing. Raises ValueError where the key
    is too short to sign anything."""
    if settings.flag_signing_key is None:
        return _kept(settings.data_dir / FILE)
    key = settings.flag_signing_key.get_secret_value().encode()
    if len(key) < MIN_KEY:
        raise ValueError(f"MUNIMENT_FLAG_SIGNING_KEY must have at least {MIN_KEY} characters")
    return key


def _kept(path: Path) -> bytes:
    """The file's key. Of processes that start at once one makes it, whole before it can be seen."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_name(f"{path.name}.{os.getpid()}")
        with os.fdopen(os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            file.write(secrets.token_bytes(32))
        try:
            os.link(made, path)
        except FileExistsError:
            pass
        finally:
            made.unlink()
    return path.read_bytes()
