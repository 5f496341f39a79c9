"""The bytes of an artifact, by its recorded digest."""

import hashlib
from pathlib import Path
from urllib.parse import unquote, urlsplit

from shared.events.registry import Artifact
from shared.models import Unservable


def verified(artifact: Artifact, max_bytes: int) -> bytes:
    """The bytes that were registered. Raises Unservable where they cannot be read or are others."""
    data = read_artifact(artifact.uri, max_bytes)
    digest = hashlib.sha256(data).hexdigest()
    if digest != artifact.sha256.lower():
        raise Unservable(f"the artifact at {artifact.uri} has SHA-256 {digest}, registered is {artifact.sha256}")
    return data


def read_artifact(uri: str, max_bytes: int) -> bytes:
    """The bytes at a path or a `file:` URI. Raises Unservable."""
    parts = urlsplit(uri)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise Unservable(f"artifacts are read from this machine's files only, not from {uri}")
    path = Path(unquote(parts.path) if parts.scheme else uri)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise Unservable(f"the artifact at {uri} has {size} bytes, more than {max_bytes}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Unservable(f"the artifact at {uri} cannot be read: {error}") from error
