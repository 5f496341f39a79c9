"""Pickles, as `pickle` or joblib wrote them: what one would import is found out first, by reading it with stand-ins
that do nothing; then it is read again, and nothing else can be imported.

Judged by picklescan's list. A dotted name, which may reach through a module into another one, is dangerous, too; and so
is whatever turns out to be a module, or to come from elsewhere than its name says, where that elsewhere is on the list.
"""

import io
import logging
import pickle
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO, cast

from joblib import numpy_pickle_utils
from joblib.numpy_pickle import NumpyArrayWrapper, NumpyUnpickler

Global = tuple[str, str]
"""Module and name."""

_ARRAY: Global = ("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE: Global = ("numpy", "dtype")
_CHUNK = 2**20
_opened: Any = numpy_pickle_utils._validate_fileobject_and_memmap  # pyright: ignore[reportPrivateUsage]


class NotScanned(Exception):
    """The file is no pickle that can be looked through."""


def scanned(file: Path) -> list[str]:
    """What a pickle would import that is dangerous, as `MODULE.NAME`; empty where nothing is. Raises NotScanned."""
    return dangerous(_imports(file))


def loaded(file: Path) -> Any:
    """What the pickle holds, with no imports but those that the scan saw and found harmless. Raises NotScanned."""
    allowed = _imports(file)
    if found := dangerous(allowed):
        raise NotScanned(f"it would run {', '.join(found)}")

    def find(module: str, name: str) -> Any:
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} was not there when the file was scanned")
        if (module, name) == _ARRAY:
            return _Array
        one = _named(module, name)
        home = getattr(one, "__module__", None), str(getattr(one, "__qualname__", name)).partition(".")[0]
        if isinstance(one, ModuleType) or (isinstance(home[0], str) and dangerous({(home[0], home[1])})):
            raise pickle.UnpicklingError(f"{module}.{name} is {one!r:.100}, which is dangerous")
        return one

    with _file(file) as stream:
        return _Reading(stream, find).load()


def dangerous(found: set[Global]) -> list[str]:
    """Those of these globals that are dangerous, or that nobody can judge."""
    wrong = {one for one in found if not all(part.isidentifier() for part in (*one[0].split("."), one[1]))}
    wrong |= {one for one in found if one[0].partition(".")[0] == "joblib" and one != _ARRAY}
    return sorted({".".join(one) for one in wrong} | _listed(found - wrong))


def _listed(found: set[Global]) -> set[str]:
    """What picklescan's list says is dangerous; it is asked about a pickle that names them and does nothing else."""
    from picklescan.scanner import SafetyLevel, scan_pickle_bytes

    named = b"".join(f"c{module}\n{name}\n0".encode() for module, name in sorted(found))
    logger = logging.getLogger("picklescan")
    before, logger.disabled = logger.disabled, True
    try:
        result = scan_pickle_bytes(io.BytesIO(named + b"N."), "globals")
    finally:
        logger.disabled = before
    return {f"{one.module}.{one.name}" for one in result.globals if one.safety == SafetyLevel.Dangerous}


def _imports(file: Path) -> set[Global]:
    """Everything that the pickle names. Raises NotScanned."""
    found: set[Global] = set()

    def find(module: str, name: str) -> Any:
        found.add((module, name))
        if (module, name) == _DTYPE:  # how many bytes an array has is in its type
            return _named(module, name)
        return _Skipped if (module, name) == _ARRAY else _Nothing

    try:
        with _file(file) as stream:
            _Reading(stream, find).load()
    except Exception as error:  # whatever a torn or made up file leads to
        if dangerous(found):  # which says more than that it is torn
            return found
        raise NotScanned(f"{type(error).__name__}: {error}"[:200]) from error
    return found


def _named(module: str, name: str) -> Any:
    return pickle.Unpickler(io.BytesIO()).find_class(module, name)  # noqa: S301  reads nothing


@contextmanager
def _file(file: Path) -> Iterator[BinaryIO]:
    """The file, unpacked where joblib packed it."""
    with file.open("rb") as raw, _opened(raw, str(file)) as (stream, _):
        if not hasattr(stream, "read"):
            raise NotScanned("it was written by a joblib before 0.10")
        yield cast("BinaryIO", stream)


class _Reading(NumpyUnpickler):
    """joblib's reader, whose imports go through `find`; those of objects within arrays, too."""

    dispatch = NumpyUnpickler.dispatch

    def __init__(self, stream: BinaryIO, find: Callable[[str, str], Any]) -> None:
        super().__init__("", stream, ensure_native_byte_order=True)
        self._find = find

    def find_class(self, module: str, name: str) -> Any:
        return self._find(module, name)


class _Array(NumpyArrayWrapper):
    """An array of a joblib file as it is."""

    def read_array(self, unpickler: Any, ensure_native_byte_order: bool) -> Any:
        if self.dtype.hasobject:
            return _Reading(unpickler.file_handle, unpickler.find_class).load()
        return super().read_array(unpickler, ensure_native_byte_order)


class _Skipped(NumpyArrayWrapper):
    """An array of which only the length counts."""

    def read(self, unpickler: Any, ensure_native_byte_order: bool) -> Any:
        stream = unpickler.file_handle
        if self.dtype.hasobject:
            _Reading(stream, unpickler.find_class).load()
            return _Nothing()
        if self.safe_get_numpy_array_alignment_bytes() is not None:
            stream.read(stream.read(1)[0])
        left = self.dtype.itemsize
        for length in self.shape:
            left *= int(length)
        while left > 0:
            read = stream.read(min(left, _CHUNK))
            if not read:
                raise NotScanned("it ends within an array")
            left -= len(read)
        return _Nothing()


class _Nothing:
    """Stands for whatever a pickle names, makes or calls, and does nothing."""

    def __new__(cls, *_: Any, **__: Any) -> "_Nothing":
        return object.__new__(cls)

    def __init__(self, *_: Any, **__: Any) -> None: ...
    def __call__(self, *_: Any, **__: Any) -> "_Nothing":
        return self

    def __setstate__(self, _: Any) -> None: ...
    def __setitem__(self, _: Any, __: Any) -> None: ...
    def append(self, _: Any) -> None: ...
    def extend(self, _: Any) -> None: ...
    def add(self, _: Any) -> None: ...
    def update(self, _: Any) -> None: ...
