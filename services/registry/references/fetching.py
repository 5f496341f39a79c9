"""The bytes of a URI into a file of our own, through fsspec: within a size, a time and the places allowed."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import pyarrow.fs as arrow
from fsspec.core import url_to_fs
from fsspec.implementations.arrow import ArrowFSWrapper

PIECE = 2**20
CONNECT_SECONDS = 5.0


class Unreadable(Exception):
    """Why a reference cannot be read, for a person. `code`: the end of the problem's type."""

    def __init__(self, reason: str, code: str = "reference-unreadable") -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class Limits:
    """`places`: prefixes of the URIs allowed. `values` per feature, `total` of all features; `until`: monotonic."""

    places: tuple[str, ...]
    max_bytes: int
    max_features: int
    values: int
    total: int
    until: float

    def check_time(self) -> None:
        """Raises Unreadable once time is up."""
        if monotonic() > self.until:
            raise Unreadable("it took too long", "reference-too-slow")


def fetch(uri: str, target: BinaryIO, limits: Limits) -> str:
    """Copy the file at `uri` into `target`; returns its SHA-256 in hex. Raises Unreadable."""
    allowed(uri, limits.places)
    try:
        system, path = _opened(uri, limits)
        about = system.info(path)
        if about["type"] != "file":
            raise Unreadable(f"it is a {about['type']}, not a file")
        if (about.get("size") or 0) > limits.max_bytes:
            raise _too_large(limits)
        with system.open(path, "rb") as source:
            return _copied(source, target, limits)
    except Unreadable:
        raise
    except FileNotFoundError as error:
        raise Unreadable("there is no such file") from error
    except Exception as error:  # each file system has errors of its own
        raise Unreadable(f"{type(error).__name__}: {error!s:.300}") from error


def allowed(uri: str, places: tuple[str, ...]) -> None:
    """Raises Unreadable where the URI is none, holds credentials, or lies outside the places allowed."""
    parts = urlsplit(uri)
    if parts.username is not None or parts.password is not None:
        raise Unreadable("its URI holds credentials, which would stay on record; give them to the registry's process")
    if parts.query or parts.fragment or not parts.scheme:
        raise Unreadable(
            "its URI must have a scheme and neither query nor fragment, such as file:///data/train.parquet"
        )
    plain = f"file://{_local(uri)}" if parts.scheme == "file" else uri
    if ".." in parts.path.split("/") or not plain.startswith(places):
        raise Unreadable(f"it lies outside the places allowed here: {', '.join(places)}")


def _local(uri: str) -> str:
    parts = urlsplit(uri)
    if parts.netloc not in ("", "localhost"):
        raise Unreadable(f"'{parts.netloc}' is another machine; write file:///PATH")
    return str(Path(unquote(parts.path)).resolve())


def _opened(uri: str, limits: Limits) -> tuple[Any, str]:
    """The file system and the path there: fsspec's own, or Arrow's where fsspec's package for it is not installed."""
    parts = urlsplit(uri)
    if parts.scheme == "file":
        return url_to_fs(f"file://{_local(uri)}")
    try:
        return url_to_fs(uri)
    except ImportError:
        if parts.scheme not in _ARROW:
            raise
        return ArrowFSWrapper(_ARROW[parts.scheme](limits)), parts.netloc + parts.path


def _s3(limits: Limits) -> Any:
    """Region, endpoint and credentials as the AWS tools find them: `AWS_…` variables, profiles, the instance's role."""
    times = {"connect_timeout": CONNECT_SECONDS, "request_timeout": _left(limits)}
    endpoint = urlsplit(os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL", ""))
    if endpoint.netloc:
        return arrow.S3FileSystem(scheme=endpoint.scheme, endpoint_override=endpoint.netloc, **times)
    return arrow.S3FileSystem(**times)


def _gcs(limits: Limits) -> Any:
    return arrow.GcsFileSystem(retry_time_limit=timedelta(seconds=_left(limits)))


_ARROW: dict[str, Callable[[Limits], Any]] = {"s3": _s3, "gs": _gcs, "gcs": _gcs}


def _left(limits: Limits) -> float:
    return max(0.1, limits.until - monotonic())


def _copied(source: Any, target: BinaryIO, limits: Limits) -> str:
    digest, size = hashlib.sha256(), 0
    while piece := source.read(PIECE):
        size += len(piece)
        if size > limits.max_bytes:
            raise _too_large(limits)
        digest.update(piece)
        target.write(piece)
        limits.check_time()
    target.flush()
    return digest.hexdigest()


def _too_large(limits: Limits) -> Unreadable:
    return Unreadable(f"it has more than {limits.max_bytes} bytes; give a sample of it", "reference-too-large")
