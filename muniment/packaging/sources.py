"""What is packaged: an ONNX file, or an estimator of scikit-learn from Python, from skops, or (unwillingly) a pickle.

A pickle, and so what joblib writes, runs code when it is read. It is refused unless the caller insists, and even then
it is scanned first (`pickles`), and refused where the scan finds anything dangerous or cannot read it.
"""

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PICKLES = (".pkl", ".pickle", ".joblib", ".pt", ".bin", ".dill")
_TRUSTED = ("sklearn.", "numpy.", "scipy.")


class CannotPackage(Exception):
    """Why a model was not packaged, and what would help."""


@dataclass(frozen=True, slots=True)
class Source:
    """Either `onnx` bytes or an `estimator`. `kind`: onnx, python, skops or pickle."""

    kind: str
    onnx: bytes | None = None
    estimator: Any = None


def opened(source: str, allow_pickle: bool = False) -> Source:
    """The model at a path, or at `FILE.py:NAME` (an estimator, or a function that makes one). Raises CannotPackage."""
    path, _, name = source.partition(":") if ".py:" in source else (source, "", "")
    file = Path(path)
    if not file.is_file():
        raise CannotPackage(f"There is no file {path}. Give an ONNX file, a skops file, or FILE.py:NAME.")
    if name:
        return Source("python", estimator=_from_python(file, name))
    if file.suffix == ".onnx":
        return Source("onnx", onnx=file.read_bytes())
    if file.suffix == ".skops":
        return Source("skops", estimator=_from_skops(file))
    if file.suffix in PICKLES or _looks_pickled(file):
        return Source("pickle", estimator=_from_pickle(file, allow_pickle))
    raise CannotPackage(f"{file.name} is none of .onnx, .skops, FILE.py:NAME or a pickle.")


def _from_pickle(file: Path, allowed: bool) -> Any:
    from muniment.packaging import pickles

    try:
        if dangerous := pickles.scanned(file):
            raise CannotPackage(f"{file.name} would run {', '.join(dangerous)} when it is read. It is refused.")
        if not allowed:
            raise CannotPackage(
                f"{file.name} is a pickle, which can run any code when it is read. Save the model with skops.io.dump "
                "or convert it to ONNX; --allow-pickle reads it all the same (the scan found nothing dangerous)."
            )
        return pickles.loaded(file)
    except pickles.NotScanned as error:
        raise CannotPackage(f"{file.name} cannot be scanned as a pickle, so it is not read: {error}.") from error
    except Exception as error:
        if isinstance(error, CannotPackage):
            raise
        raise CannotPackage(f"{file.name} cannot be read: {type(error).__name__}: {error}"[:500]) from error


def _from_skops(file: Path) -> Any:
    from skops import io

    unknown = [one for one in io.get_untrusted_types(file=file) if not one.startswith(_TRUSTED)]
    if unknown:
        raise CannotPackage(f"{file.name} holds types that are not scikit-learn's: {', '.join(unknown)}.")
    return io.load(file, trusted=io.get_untrusted_types(file=file))


def _from_python(file: Path, name: str) -> Any:
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise CannotPackage(f"{file} cannot be imported.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    found = getattr(module, name, None)
    if found is None:
        raise CannotPackage(f"{file} has nothing called {name}.")
    return found if hasattr(found, "predict") or not callable(found) else found()


def _looks_pickled(file: Path) -> bool:
    with file.open("rb") as opened_file:
        return opened_file.read(2)[:1] == b"\x80"
