"""The one file that a packaged model is: a ZIP archive that stores its parts as they are, with a manifest."""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping

from shared.models import Unservable

FORMAT = "muniment-bundle/1"
MANIFEST = "manifest.json"
MODEL = "model.onnx"
_MAGIC = b"PK\x03\x04"
_BEGAN = (1980, 1, 1, 0, 0, 0)
"""The earliest time that ZIP can tell: when a bundle was made must not change its bytes."""


def is_bundle(data: bytes) -> bool:
    """Whether these bytes begin as a bundle does; no ONNX file begins so."""
    return data.startswith(_MAGIC)


def packed(parts: Mapping[str, bytes], about: Mapping[str, object]) -> bytes:
    """The bundle of these parts by name; the same parts give the same bytes, whenever and wherever."""
    digests = {name: hashlib.sha256(data).hexdigest() for name, data in sorted(parts.items())}
    manifest = {"format": FORMAT, "files": digests, **about}
    told = json.dumps(manifest, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_STORED) as archive:
        for name, data in [(MANIFEST, told), *sorted(parts.items())]:
            entry = zipfile.ZipInfo(name, _BEGAN)
            entry.create_system, entry.external_attr = 3, 0o644 << 16
            archive.writestr(entry, data)
    return sink.getvalue()


def unpacked(data: bytes) -> dict[str, bytes]:
    """Every part by name, the manifest too. Raises Unservable where one is missing, too many, or not as digested."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise Unservable("a bundle stores its parts as they are, and this archive is compressed")
            parts = {name: archive.read(name) for name in archive.namelist()}
        manifest = json.loads(parts[MANIFEST])
        files: dict[str, str] = manifest["files"]
    except (zipfile.BadZipFile, KeyError, ValueError, NotImplementedError, TypeError) as error:
        raise Unservable(f"this is no bundle of a model: {error}") from error
    if manifest.get("format") != FORMAT:
        raise Unservable(f"this bundle has the format {manifest.get('format')}; {FORMAT} is read here")
    if set(files) != set(parts) - {MANIFEST}:
        raise Unservable("the bundle holds other parts than its manifest names")
    wrong = [name for name, digest in files.items() if hashlib.sha256(parts[name]).hexdigest() != digest]
    if wrong:
        raise Unservable(f"{', '.join(wrong)} of the bundle is not what its manifest says")
    return parts


def model_in(data: bytes) -> bytes:
    """The ONNX of a bundle; what is no bundle is the model itself. Raises Unservable."""
    if not is_bundle(data):
        return data
    parts = unpacked(data)
    if MODEL not in parts:
        raise Unservable(f"the bundle holds no {MODEL}")
    return parts[MODEL]
