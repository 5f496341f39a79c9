"""Where bundles lie: a folder, S3 or whatever fsspec knows, each under its digest so that none is ever overwritten."""

from pathlib import Path
from typing import Any

from fsspec.core import url_to_fs
from fsspec.implementations.arrow import ArrowFSWrapper

from muniment.packaging.bundle import SUFFIX, Bundle
from muniment.packaging.sources import CannotPackage
from shared.models.artifacts import bucket_of


def stored(data: bytes, place: str) -> str:
    """Put a bundle into a place (a folder or a URL such as `s3://bucket/models`); returns its URI. Raises CannotPackage
    where the place cannot be written, or holds other bytes under this digest."""
    bundle = Bundle.of(data)
    name = f"{bundle.sha256[:2]}/{bundle.sha256}{SUFFIX}"
    try:
        if "://" not in place or place.startswith("file://"):
            folder = Path(place.removeprefix("file://")).resolve()
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            _written(data, path)
            return path.as_uri()
        system, root = _opened(place)
        target = f"{root.rstrip('/')}/{name}"
        if not system.exists(target):
            with system.open(target, "wb") as file:
                file.write(data)
        with system.open(target, "rb") as file:
            if file.read() != data:
                raise CannotPackage(f"{place} holds other bytes under {name}; the bundle was not stored.")
        return f"{place.rstrip('/')}/{name}"
    except (OSError, ImportError, ValueError) as error:
        raise CannotPackage(f"The bundle cannot be stored in {place}: {error}") from error


def _written(data: bytes, path: Path) -> None:
    if path.exists():
        if path.read_bytes() != data:
            raise CannotPackage(f"{path} holds other bytes than its name says; the bundle was not stored.")
        return
    part = path.with_suffix(".part")
    part.write_bytes(data)
    part.replace(path)


def _opened(url: str) -> tuple[Any, str]:
    """fsspec's own file system, or Arrow's where fsspec's package for it is not installed."""
    try:
        return url_to_fs(url)
    except ImportError:
        system, path = bucket_of(url)
        return ArrowFSWrapper(system), path
