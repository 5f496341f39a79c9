"""From an estimator of scikit-learn to ONNX with a signature, the same bytes for the same estimator."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from muniment.packaging.sample import kind_of
from muniment.packaging.sources import CannotPackage

OPSET = {"": 17, "ai.onnx.ml": 3}
GRAPH = "model"
MATRIX = "features"
"""Name of the one input of a model that takes a matrix."""


@dataclass(frozen=True, slots=True)
class Converted:
    """`original`: what the estimator itself answers on the sample, by the name of the output."""

    onnx: bytes
    signature: dict[str, list[dict[str, str]]]
    task: str | None
    classes: list[str]
    original: dict[str, np.ndarray]
    precision: str


def converted(estimator: Any, sample: Any, output: str | None, double: bool) -> Converted:
    """The estimator as ONNX, its numbers as float32, or as float64 (`double`). Raises CannotPackage."""
    from skl2onnx import convert_sklearn
    from sklearn.base import is_classifier

    _check(estimator)
    classifies = is_classifier(estimator)
    options: dict[Any, Any] = {id(estimator): {"zipmap": False}} if classifies else {}
    try:
        types = _types(estimator, sample, double)
        found: Any = convert_sklearn(estimator, GRAPH, types, options=options, target_opset=OPSET, intermediate=True)
        model = _as_named(*found)
    except Exception as error:  # every converter raises as it likes
        kind = type(estimator).__name__
        told = str(error).strip().split("\n")[0][:400]
        raise CannotPackage(f"skl2onnx cannot convert this {kind}: {told}") from error
    inputs = [{"name": str(name), "type": kind_of(sample[name])} for name in sample.columns]
    try:
        answers, task, classes = _original(estimator, sample, output, classifies)
    except CannotPackage:
        raise
    except Exception as error:  # every estimator raises as it likes
        kind = type(estimator).__name__
        raise CannotPackage(f"This {kind} does not answer the sample: {str(error).strip()[:400]}") from error
    outputs = [{"name": name, "type": _kind(values)} for name, values in answers.items()]
    signature = {"inputs": inputs, "outputs": outputs}
    precision = "float64" if double else "float32"
    return Converted(model.SerializeToString(deterministic=True), signature, task, classes, answers, precision)


def _as_named(model: Any, topology: Any) -> Any:
    """The graph with its inputs called as the columns are: skl2onnx writes `dist km` as `dist_km`."""
    known = {one.onnx_name: one.raw_name for one in topology.scopes[0].input_variables}
    for one in model.graph.input:
        one.name = known.get(one.name, one.name)
    for node in model.graph.node:
        for place, name in enumerate(node.input):
            node.input[place] = known.get(name, name)
    return model


def _check(estimator: Any) -> None:
    """Raises CannotPackage where there is nothing that answers."""
    from sklearn.exceptions import NotFittedError
    from sklearn.utils.validation import check_is_fitted

    kind = type(estimator).__name__
    if not hasattr(estimator, "fit"):
        raise CannotPackage(f"This {kind} is no estimator of scikit-learn.")
    if not hasattr(estimator, "predict"):
        raise CannotPackage(f"This {kind} answers nothing: it has no `predict`.")
    try:
        check_is_fitted(estimator)
    except NotFittedError as error:
        raise CannotPackage(f"This {kind} is not fitted; fit it first, or name a function that does.") from error


def _types(estimator: Any, sample: Any, double: bool) -> list[tuple[str, Any]]:
    """An input per column where the estimator picks columns by name, else one matrix."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType
    from sklearn.compose import ColumnTransformer

    number = DoubleTensorType if double else FloatTensorType
    first = estimator.steps[0][1] if hasattr(estimator, "steps") else estimator
    texts = [name for name in sample.columns if kind_of(sample[name]) == "string"]
    if texts or isinstance(first, ColumnTransformer):
        text = StringTensorType
        return [(str(name), (text if name in texts else number)([None, 1])) for name in sample.columns]
    return [(MATRIX, number([None, sample.shape[1]]))]


def _original(
    estimator: Any, sample: pd.DataFrame, output: str | None, classifies: bool
) -> tuple[dict[str, np.ndarray], str | None, list[str]]:
    """Answers by output, task and classes."""
    from sklearn.base import is_regressor

    given = sample if hasattr(estimator, "feature_names_in_") else sample.to_numpy()
    if not classifies:
        answers = np.asarray(estimator.predict(given))
        return _answers(answers.astype(float) if is_regressor(estimator) else answers, output)
    if not hasattr(estimator, "predict_proba"):
        return {output or "label": np.asarray(estimator.predict(given))}, None, []
    scores = estimator.predict_proba(given)
    if not isinstance(scores, np.ndarray):
        raise CannotPackage("A classifier of several targets at once cannot be packaged: package one for each.")
    classes = [str(one) for one in estimator.classes_]
    if len(classes) == 2:
        return {output or "probability": scores[:, 1]}, "binary", []
    label = {output or "label": np.asarray(estimator.predict(given))}
    return label | {f"probability_{name}": scores[:, at] for at, name in enumerate(classes)}, "multiclass", classes


def _answers(values: np.ndarray, output: str | None) -> tuple[dict[str, np.ndarray], str | None, list[str]]:
    """Of what is no classifier: a regression, of one target or of several; whole numbers are the labels of clusters or
    outliers."""
    if values.dtype.kind in "iu":
        return {output or "label": values.reshape(len(values))}, None, []
    columns = values.astype(float).reshape(len(values), -1)
    if columns.shape[1] == 1:
        return {output or "prediction": columns[:, 0]}, "regression", []
    return {f"{output or 'prediction'}_{at}": column for at, column in enumerate(columns.T)}, None, []


def _kind(values: np.ndarray) -> str:
    return {"f": "double", "i": "long", "u": "long", "b": "boolean"}.get(values.dtype.kind, "string")
