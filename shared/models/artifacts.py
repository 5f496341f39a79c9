"""The bytes of an artifact, by its recorded digest."""

# pyright: basic

import hashlib
import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.events.registry import Artifact
from shared.models import Unservable
from shared.models.bundles import model_in

_REMOTE = ("s3", "gs")


class Altered(Unservable):
    """The bytes are others than those registered."""


def verified(artifact: Artifact, max_bytes: int) -> bytes:
    """The model of what was registered, out of its bundle where it lies in one. Raises Unservable where the bytes
    cannot be read or are others."""
    data = read_artifact(artifact.uri, max_bytes)
    digest = hashlib.sha256(data).hexdigest()
    if digest != artifact.sha256.lower():
        raise Altered(f"the artifact at {artifact.uri} has SHA-256 {digest}, registered is {artifact.sha256}")
    return model_in(data)


def read_artifact(uri: str, max_bytes: int) -> bytes:
    """The bytes at a path, a `file:` URI, or in a bucket (`s3:`, `gs:`). Raises Unservable."""
    parts = urlsplit(uri)
    if parts.scheme in _REMOTE:
        return _from_bucket(uri, max_bytes)
    if parts.scheme not in ("", "file") or parts.netloc not in ("", "localhost"):
        raise Unservable(f"artifacts are read from this machine's files and from buckets (s3, gs), not from {uri}")
    path = Path(unquote(parts.path) if parts.scheme else uri)
    try:
        size = path.stat().st_size
        if size > max_bytes:
            raise Unservable(f"the artifact at {uri} has {size} bytes, more than {max_bytes}")
        return path.read_bytes()
    except (OSError, ValueError) as error:
        raise Unservable(f"the artifact at {uri} cannot be read: {error}") from error


def _from_bucket(uri: str, max_bytes: int) -> bytes:
    """Credentials and the endpoint come from the environment (`AWS_…`), never from the URI."""
    import pyarrow.fs as arrow  # costs a process that serves only files nothing

    try:
        system, path = bucket_of(uri)
        info = system.get_file_info(path)
        if info.type != arrow.FileType.File:
            raise Unservable(f"there is no artifact at {uri}")
        if (info.size or 0) > max_bytes:
            raise Unservable(f"the artifact at {uri} has {info.size} bytes, more than {max_bytes}")
        with system.open_input_stream(path) as file:
            return file.read()
    except (OSError, ValueError) as error:
        raise Unservable(f"the artifact at {uri} cannot be read: {error}") from error


def bucket_of(uri: str) -> tuple[Any, str]:
    """The file system of Arrow for a bucket, and the path there. Raises OSError, ValueError."""
    import pyarrow.fs as arrow

    parts = urlsplit(uri)
    if parts.scheme != "s3":
        return arrow.FileSystem.from_uri(uri)
    if parts.username or parts.query:
        raise ValueError("credentials and options come from the environment, not from the URI")
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""))
    given = {"scheme": endpoint.scheme, "endpoint_override": endpoint.netloc} if endpoint.netloc else {}
    return arrow.S3FileSystem(**given), unquote(parts.netloc + parts.path)
