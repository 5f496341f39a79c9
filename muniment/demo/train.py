"""Two candidates trained on January to March, as ONNX that takes each feature by name and answers `probability`."""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import brier_score_loss, roc_auc_score
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from muniment.demo.data import CATEGORIES, FEATURES, NUMBERS, TRAINING_MONTHS
from muniment.demo.frames import Frame

MISSED = 300.0
"""USD that a late flight costs of which nobody was warned: rebooking, lost connections."""
FALSE_ALARM = 60.0
"""USD that a warning costs which was not needed: a connection held, a seat kept free."""
TOLERANCE = 1e-5
"""The largest difference allowed between scikit-learn and ONNX, in probability."""
SEED = 2013
REFERENCE_ROWS = 5_000
HELD_OUT_EVERY = 5


@dataclass(frozen=True, slots=True)
class Candidate:
    """A trained model on disk. `metrics` are of the held-out days, `conversion` compares the ONNX with its original."""

    name: str
    technique: str
    path: Path
    sha256: str
    params: dict[str, Any]
    metrics: dict[str, float]
    conversion: dict[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class Trained:
    """`threshold`: warn from this probability on (a multiple of 0.001); `reference`: the features of training."""

    linear: Candidate
    boosted: Candidate
    threshold: float
    never_warn: float
    reference: dict[str, list[Any]]
    rows: int
    held_out: int


def train(flights: Frame, folder: Path) -> Trained:
    """Fit both candidates; files go to `folder`. Deterministic. Raises ConversionError."""
    known = flights[flights["month"].isin(TRAINING_MONTHS) & flights["arrived"]]
    held = known["departs"].dt.day_of_year % HELD_OUT_EVERY == 0  # whole days, since flights of one day share its fate
    fitting, testing = known[~held], known[held]
    reference = fitting.sample(REFERENCE_ROWS, random_state=SEED)
    linear, scores = _candidate("logistic-regression", _linear(), fitting, testing, reference, folder)
    threshold = _cheapest_threshold(scores, testing["late"].to_numpy())
    boosted, _ = _candidate("gradient-boosting", _boosted(), fitting, testing, reference, folder)
    return Trained(
        linear=linear,
        boosted=boosted,
        threshold=threshold,
        never_warn=round(MISSED * float(testing["late"].mean()), 2),
        reference={name: reference[name].tolist() for name in FEATURES},
        rows=len(fitting),
        held_out=len(testing),
    )


class ConversionError(RuntimeError):
    """The ONNX model does not answer as its original does."""


def cost(scores: np.ndarray, late: np.ndarray, threshold: float) -> float:
    """USD per flight: missed late flights and false alarms when warning from `threshold` on."""
    warned = scores >= threshold
    return float(MISSED * np.sum(~warned & late) + FALSE_ALARM * np.sum(warned & ~late)) / len(late)


def model_input(flights: Frame) -> Frame:
    """The features as the models take them: numbers in float32, as ONNX will see them, and text."""
    return flights[list(FEATURES)].astype(dict.fromkeys(NUMBERS, np.float32))


def scores_of(path: Path, flights: Frame) -> np.ndarray:
    """What an ONNX file answers, [n] in float64."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    frame = model_input(flights)
    feed = {name: frame[[name]].to_numpy(np.float32) for name in NUMBERS}
    feed |= {name: frame[[name]].to_numpy(object) for name in CATEGORIES}
    return np.asarray(session.run(["probability"], feed)[0], np.float64).reshape(-1)


def _linear() -> Pipeline:
    return _pipeline(StandardScaler(), LogisticRegression(max_iter=300))


def _boosted() -> Pipeline:
    # Unscaled float32: behind a scaler, rounding puts some rows on the other side of a split.
    trees = GradientBoostingClassifier(n_estimators=80, max_depth=3, subsample=0.3, random_state=SEED)
    return _pipeline("passthrough", trees)


def _pipeline(numbers: Any, model: Any) -> Pipeline:
    columns = [("numbers", numbers, list(NUMBERS)), ("words", _one_hot(), list(CATEGORIES))]
    return Pipeline([("columns", ColumnTransformer(columns, sparse_threshold=0)), ("model", model)])


def _one_hot() -> OneHotEncoder:
    number: Any = np.float32
    return OneHotEncoder(handle_unknown="ignore", sparse_output=False, dtype=number)


def _candidate(
    name: str, model: Pipeline, fitting: Frame, testing: Frame, reference: Frame, folder: Path
) -> tuple[Candidate, np.ndarray]:
    started = time.perf_counter()
    model.fit(model_input(fitting), fitting["late"])
    path = folder / f"{name}.onnx"
    path.write_bytes(_to_onnx(model))
    conversion = _compare(model, path, reference)
    scores = scores_of(path, testing)
    late = testing["late"].to_numpy()
    metrics = {"auc": float(roc_auc_score(late, scores)), "brier": float(brier_score_loss(late, scores))}
    estimator = model.named_steps["model"]
    params = {key: value for key, value in estimator.get_params().items() if value is None or _plain(value)}
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    seconds = time.perf_counter() - started
    technique = type(estimator).__name__
    return Candidate(name, technique, path, sha256, params, metrics, conversion, seconds), scores


def _plain(value: Any) -> bool:
    return isinstance(value, str | int | float | bool)


def _cheapest_threshold(scores: np.ndarray, late: np.ndarray) -> float:
    candidates = np.arange(50, 501) / 1000
    return float(candidates[int(np.argmin([cost(scores, late, threshold) for threshold in candidates]))])


def _to_onnx(model: Pipeline) -> bytes:
    """The pipeline with one input [n, 1] per feature and one output `probability` [n]."""
    inputs = [(name, FloatTensorType([None, 1])) for name in NUMBERS]
    inputs += [(name, StringTensorType([None, 1])) for name in CATEGORIES]
    options = {id(model.named_steps["model"]): {"zipmap": False}}
    converted: Any = convert_sklearn(model, initial_types=inputs, options=options, target_opset=17)
    graph = converted.graph
    both = next(output.name for output in graph.output if output.name != graph.output[0].name)
    graph.initializer.append(onnx.helper.make_tensor("late_class", onnx.TensorProto.INT64, [], [1]))
    graph.node.append(onnx.helper.make_node("Gather", [both, "late_class"], ["probability"], axis=1))
    del graph.output[:]
    graph.output.append(onnx.helper.make_tensor_value_info("probability", onnx.TensorProto.FLOAT, [None]))
    onnx.checker.check_model(converted)
    return converted.SerializeToString()


def _compare(model: Pipeline, path: Path, reference: Frame) -> dict[str, float]:
    original = model.predict_proba(model_input(reference))[:, 1]
    difference = np.abs(original - scores_of(path, reference))
    found = {
        "max_abs_difference": float(difference.max()),
        "mean_abs_difference": float(difference.mean()),
        "rows": float(len(difference)),
        "tolerance": TOLERANCE,
    }
    if found["max_abs_difference"] > TOLERANCE:
        raise ConversionError(f"{path.name}: ONNX differs by {found['max_abs_difference']:.2e}, allowed {TOLERANCE}")
    return found
