"""`package`: from a model and a sample to one file that can be registered, tested and served."""

import json
import platform
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pandas as pd

from muniment.packaging import bundle as names
from muniment.packaging.bundle import Bundle
from muniment.packaging.card import card_of
from muniment.packaging.compare import compared
from muniment.packaging.convert import Converted, converted
from muniment.packaging.options import Options
from muniment.packaging.sample import EXPECTED, as_frame, histograms, kind_of, spaced, values_of
from muniment.packaging.sources import CannotPackage, Source
from shared.events.registry import Signature
from shared.models import ModelFailed, Unservable
from shared.models.bundles import MODEL, packed
from shared.models.onnx import Model

PACKAGES = ("scikit-learn", "numpy", "scipy", "pandas", "skl2onnx", "onnx", "onnxruntime", "lightgbm", "xgboost")


@dataclass(frozen=True, slots=True)
class Package:
    """`data`: the bundle's bytes; `conversion`: the differences between original and ONNX."""

    data: bytes
    conversion: dict[str, Any]

    @property
    def bundle(self) -> Bundle:
        return Bundle.of(self.data)


def package(source: Source, table: pd.DataFrame, options: Options) -> Package:
    """The bundle of a model. Numbers are float32, or float64 where the difference would be above the tolerance else.

    Raises CannotPackage, also where the ONNX differs from its original by more than the tolerance."""
    if table.empty:
        raise CannotPackage("The sample holds no rows.")
    sample: Any = spaced(table, options.rows)
    features = _features(source, sample, options)
    if source.estimator is not None:
        model, conversion = _from_estimator(source.estimator, sample[features], options)
    else:
        model, conversion = _from_onnx(source.onnx or b"", sample, features, options)
    if not conversion["within"]:
        raise CannotPackage(_too_far(conversion, sample[features]))
    parts = _parts(model, conversion, sample[features], options)
    about = {
        "name": options.name,
        "framework": "onnx" if source.estimator is None else "scikit-learn",
        "source": source.kind,
        "task": model.task,
        "classes": model.classes,
        "params": options.params or _params(source.estimator),
        "description": options.description,
    }
    return Package(packed(parts, about), conversion)


def _features(source: Source, sample: pd.DataFrame, options: Options) -> list[str]:
    named = getattr(source.estimator, "feature_names_in_", None)
    columns = [str(one) for one in sample.columns if one != options.target and not str(one).startswith(EXPECTED)]
    if named is None:
        return columns
    if missing := [str(name) for name in named if name not in sample]:
        raise CannotPackage(f"The sample lacks {', '.join(missing)}, which the model was trained on.")
    return [str(name) for name in named]


def _from_estimator(estimator: Any, sample: pd.DataFrame, options: Options) -> tuple[Converted, dict[str, Any]]:
    tried: list[tuple[Converted, dict[str, Any]]] = []
    for double in (False, True):
        try:
            model = converted(estimator, sample, options.output, double)
            found = compared(model.original, _served(model, sample), options.tolerance)
        except CannotPackage:
            if not tried:
                raise
            break
        tried.append((model, found | {"precision": model.precision}))
        if found["within"]:
            break
    return min(tried, key=lambda one: one[1]["max_difference"])


def _from_onnx(data: bytes, sample: Any, features: list[str], options: Options) -> tuple[Converted, dict[str, Any]]:
    inputs = [{"name": name, "type": kind_of(sample[name])} for name in features]
    expected = {
        str(name).removeprefix(EXPECTED): sample[name].to_numpy()
        for name in sample.columns
        if str(name).startswith(EXPECTED)
    }
    outputs = [{"name": name, "type": kind_of(sample[EXPECTED + name])} for name in expected]
    model = Converted(data, {"inputs": inputs, "outputs": outputs}, None, [], expected, "as given")
    answers = _served(model, sample)
    if not outputs:
        outputs = [{"name": name, "type": kind_of(pd.Series(values))} for name, values in answers.items()]
        model = Converted(data, {"inputs": inputs, "outputs": outputs}, None, [], {}, "as given")
    return model, compared(expected, answers, options.tolerance) | {"precision": "as given"}


def _served(model: Converted, sample: pd.DataFrame) -> dict[str, Any]:
    """What the model answers by the code that serves it."""
    try:
        served = Model(model.onnx, Signature.model_validate(model.signature))
        return dict(served.answer(as_frame(sample, model.signature["inputs"])))
    except (Unservable, ModelFailed) as error:
        raise CannotPackage(f"The ONNX cannot be served with these inputs: {error}") from error


def _parts(model: Converted, conversion: dict[str, Any], sample: pd.DataFrame, options: Options) -> dict[str, bytes]:
    features = [str(name) for name in sample.columns]
    environment = {"python": platform.python_version(), "packages": _versions()}
    card = options.card or card_of(options, model, conversion, environment)
    return {
        MODEL: model.onnx,
        names.SIGNATURE: _json(model.signature),
        names.REFERENCE: _json(values_of(sample, features)),
        names.HISTOGRAMS: _json(histograms(sample, features)),
        names.CONVERSION: _json(conversion),
        names.ENVIRONMENT: _json(environment),
        names.CARD: card.encode(),
        names.TESTS: (options.tests or "tests: []\n").encode(),
    }


def _versions() -> dict[str, str]:
    found: dict[str, str] = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _params(estimator: Any) -> dict[str, Any]:
    """Parameters of the estimator, or of the last step of a pipeline, as far as JSON can tell them."""
    if estimator is None or not hasattr(estimator, "get_params"):
        return {}
    last = estimator.steps[-1][1] if hasattr(estimator, "steps") else estimator
    given = {"estimator": type(last).__name__} | last.get_params(deep=False)
    return {name: value for name, value in given.items() if isinstance(value, str | int | float | bool | None)}


def _too_far(conversion: dict[str, Any], sample: pd.DataFrame) -> str:
    lines = [f"The ONNX differs from its original by up to {conversion['max_difference']:.3g}, and the tolerance is "]
    lines[0] += f"{conversion['tolerance']:.3g}."
    for name, one in conversion["outputs"].items():
        if one["rows_above_tolerance"]:
            rows = ", ".join(map(str, one["worst_rows"]))
            lines.append(f"{name}: {one['rows_above_tolerance']} of {len(sample)} rows, worst are rows {rows}.")
    lines.append(
        "Trees behind a scaler take another branch in float32: fit them on unscaled numbers, or state the tolerance "
        "that you accept with --tolerance; it stays on record."
    )
    return " ".join(lines)


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"
