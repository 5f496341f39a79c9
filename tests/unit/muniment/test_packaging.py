"""Packaging: the same bytes each time, as close to the original as stated, no pickle unasked, and no byte changed."""

import json
import pickle
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from sklearn.cluster import KMeans
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestRegressor,
)
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from skops import io as skops

from muniment.packaging import Bundle, CannotPackage, NotABundle, Options, package
from muniment.packaging.sources import Source, opened
from muniment.packaging.store import stored
from shared.events.registry import Artifact, Signature
from shared.models import Unservable
from shared.models.artifacts import verified
from shared.models.onnx import Model

RNG = np.random.default_rng(7)
TABLE = pd.DataFrame(
    {"wind": RNG.normal(10, 4, 400), "hour": RNG.integers(5, 23, 400), "carrier": RNG.choice(["AA", "UA"], 400)}
)
LATE = ((TABLE["wind"] + TABLE["hour"] + RNG.normal(0, 3, 400)) > 25).astype(int)
NUMBERS = ["wind", "hour"]


def fitted() -> Any:
    columns = ColumnTransformer([("n", StandardScaler(), NUMBERS), ("c", OneHotEncoder(), ["carrier"])])
    return make_pipeline(columns, LogisticRegression()).fit(TABLE, LATE)


def made(estimator: Any, table: pd.DataFrame = TABLE, **options: Any) -> Any:
    return package(Source("python", estimator=estimator), table, Options("late", **options))


def test_the_same_estimator_gives_the_same_bytes() -> None:
    first, second = made(fitted()), made(fitted())
    assert first.data == second.data
    assert first.bundle.sha256 == second.bundle.sha256
    assert {"model.onnx", "signature.json", "reference.json", "histograms.json", "MODEL_CARD.md"} <= set(
        first.bundle.parts
    )
    assert {"environment.json", "tests.yaml", "manifest.json", "conversion.json"} <= set(first.bundle.parts)


def test_it_is_served_as_it_was_compared_and_registered_as_it_is() -> None:
    found = made(fitted(), rows=100)
    body = found.bundle.version("file:///late.mbundle")
    assert [one["type"] for one in body["signature"]["inputs"]] == ["double", "long", "string"]
    assert (body["task"], body["framework"], len(body["reference"]["wind"])) == ("binary", "scikit-learn", 100)
    assert found.conversion["max_difference"] < 1e-5
    assert found.conversion["within"] is True
    assert body["metrics"]["conversion_max_difference"] == found.conversion["max_difference"]
    assert sum(json.loads(found.bundle.parts["histograms.json"])["carrier"]["counts"].values()) == 100
    Model(found.bundle.model, Signature.model_validate(body["signature"]))


def test_a_plain_matrix_a_regression_and_several_classes() -> None:
    plain = made(LogisticRegression().fit(TABLE[NUMBERS], LATE))
    assert [one["name"] for one in plain.bundle.json("signature.json")["inputs"]] == NUMBERS
    forest = made(
        RandomForestRegressor(5, random_state=1).fit(TABLE[NUMBERS].to_numpy(np.float32), TABLE["wind"]), TABLE[NUMBERS]
    )
    assert forest.bundle.manifest["task"] == "regression"
    several = made(LogisticRegression(max_iter=500).fit(TABLE[NUMBERS], TABLE["hour"] // 7))
    names = [one["name"] for one in several.bundle.json("signature.json")["outputs"]]
    assert (several.bundle.manifest["classes"], len(names)) == (["0", "1", "2", "3"], 5)


def test_columns_keep_their_names_whatever_characters_they_have() -> None:
    table = TABLE.rename(columns={"wind": "wind km/h", "hour": "Stunde (für Abflug)"})
    numbers = [name for name in table.columns if name != "carrier"]
    pick = ColumnTransformer([("numbers", StandardScaler(), numbers), ("carrier", OneHotEncoder(), ["carrier"])])
    found = made(make_pipeline(pick, LogisticRegression(max_iter=500)).fit(table, LATE), table)
    assert [one["name"] for one in found.bundle.json("signature.json")["inputs"]] == list(table.columns)
    assert found.conversion["within"] is True


def test_several_targets_clusters_and_outliers() -> None:
    numbers, targets = TABLE[NUMBERS], TABLE[NUMBERS].to_numpy() @ np.array([[1.0, 2.0], [0.5, 1.0]])
    several = made(LinearRegression().fit(numbers, targets), numbers)
    assert [one["name"] for one in several.bundle.json("signature.json")["outputs"]] == ["prediction_0", "prediction_1"]
    numbers = numbers.round().astype(float)  # the same as float32
    for estimator in (KMeans(3, n_init=1, random_state=1), IsolationForest(n_estimators=5, random_state=1)):
        found = made(estimator.fit(numbers), numbers)
        [output] = found.bundle.json("signature.json")["outputs"]
        assert (output, found.bundle.manifest["task"]) == ({"name": "label", "type": "long"}, None)
        assert found.conversion["max_difference"] == 0


def test_what_answers_nothing_or_of_several_targets_is_refused_in_words() -> None:
    with pytest.raises(CannotPackage, match="This int is no estimator"):
        made(3)
    with pytest.raises(CannotPackage, match="This LogisticRegression is not fitted"):
        made(LogisticRegression(), TABLE[NUMBERS])
    with pytest.raises(CannotPackage, match="This PCA answers nothing"):
        made(PCA(1).fit(TABLE[NUMBERS]), TABLE[NUMBERS])
    targets = np.column_stack([LATE, 1 - LATE])
    with pytest.raises(CannotPackage, match="several targets at once"):
        made(DecisionTreeClassifier(max_depth=2).fit(TABLE[NUMBERS], targets), TABLE[NUMBERS])


def test_too_far_from_its_original_is_refused_and_a_stated_tolerance_stays_on_record() -> None:
    table = TABLE[NUMBERS]
    boosted = make_pipeline(StandardScaler(), GradientBoostingClassifier(n_estimators=20, random_state=1)).fit(
        table, LATE
    )
    with pytest.raises(CannotPackage, match="tolerance"):
        made(boosted, table, tolerance=0.0)
    kept = made(boosted, table, tolerance=0.5)
    assert kept.conversion["tolerance"] == 0.5
    with pytest.raises(CannotPackage, match="skl2onnx cannot convert this"):
        made(HistGradientBoostingClassifier().fit(table, LATE), table)


def test_an_onnx_file_is_compared_with_what_its_original_answered(tmp_path: Path) -> None:
    estimator = LogisticRegression().fit(TABLE[NUMBERS], LATE)
    file = tmp_path / "m.onnx"
    file.write_bytes(made(estimator).bundle.model)
    scores = estimator.predict_proba(TABLE[NUMBERS])[:, 1]
    known = TABLE[NUMBERS].assign(**{"output.probability": scores})
    found = package(opened(str(file)), known, Options("late", rows=50))
    assert (found.conversion["compared"], found.conversion["rows"]) == (True, 50)
    with pytest.raises(CannotPackage, match="differs from its original"):
        package(opened(str(file)), known.assign(**{"output.probability": 1 - scores}), Options("late"))
    alone = package(opened(str(file)), TABLE[NUMBERS], Options("late"))
    assert alone.conversion["compared"] is False


class Evil:
    def __reduce__(self) -> Any:
        import os

        return os.system, ("true",)


def test_pickles_are_refused_and_dangerous_ones_whatever_one_says(tmp_path: Path) -> None:
    good, evil = tmp_path / "good.pkl", tmp_path / "evil.bin"
    good.write_bytes(pickle.dumps(fitted()))
    evil.write_bytes(pickle.dumps(Evil()))
    with pytest.raises(CannotPackage, match="is a pickle"):
        opened(str(good))
    assert opened(str(good), allow_pickle=True).kind == "pickle"
    for allowed in (False, True):
        with pytest.raises(CannotPackage, match=r"would run (posix|os)\.system"):
            opened(str(evil), allow_pickle=allowed)


def test_joblibs_files_are_scanned_and_read_like_pickles(tmp_path: Path) -> None:
    file, model = tmp_path / "model.joblib", fitted()
    for compress in (0, 3, ("xz", 1)):
        joblib.dump(model, file, compress=compress)
        with pytest.raises(CannotPackage, match="--allow-pickle"):
            opened(str(file))
        read = opened(str(file), allow_pickle=True).estimator
        assert (read.predict_proba(TABLE) == model.predict_proba(TABLE)).all()
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(CannotPackage, match="cannot be scanned"):
        opened(str(file), allow_pickle=True)
    within = np.array([Evil(), {"a": 1}], dtype=object)  # objects of an array lie in a pickle of their own
    joblib.dump({"model": model, "more": within}, file)
    with pytest.raises(CannotPackage, match=r"would run (posix|os)\.system"):
        opened(str(file), allow_pickle=True)


@pytest.mark.parametrize(
    ("module", "name", "match"),
    [
        ("sklearn.base", "os.system", r"would run sklearn\.base\.os\.system"),
        ("joblib.numpy_pickle", "load", r"would run joblib\.numpy_pickle\.load"),
        ("tarfile", "os", "tarfile.os is <module"),
        ("helping", "helper", "helping.helper is <built-in function system>"),
    ],
)
def test_a_name_that_reaches_elsewhere_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, name: str, match: str
) -> None:
    (tmp_path / "helping.py").write_text("from os import system as helper")
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "m.pkl"
    texts = b"".join(b"\x8c" + bytes([len(one)]) + one.encode() for one in (module, name))
    file.write_bytes(b"\x80\x04" + texts + b"\x93.")
    with pytest.raises(CannotPackage, match=match):
        opened(str(file), allow_pickle=True)


def test_skops_and_python_are_read(tmp_path: Path) -> None:
    skops.dump(fitted(), tmp_path / "m.skops")
    assert opened(str(tmp_path / "m.skops")).kind == "skops"
    code = tmp_path / "train_late.py"
    built = "def build():\n    return DummyClassifier().fit([[0], [1]], [0, 1])\n"
    code.write_text(f"from sklearn.dummy import DummyClassifier\n{built}")
    assert type(opened(f"{code}:build").estimator).__name__ == "DummyClassifier"
    for wrong in (f"{code}:nothing", str(code), str(tmp_path / "none.onnx")):
        with pytest.raises(CannotPackage):
            opened(wrong)


def test_a_bundle_changed_by_one_byte_is_refused(tmp_path: Path) -> None:
    found = made(fitted(), rows=20)
    uri = stored(found.data, str(tmp_path))
    assert stored(found.data, str(tmp_path)) == uri
    artifact = Artifact(uri=uri, sha256=found.bundle.sha256)
    assert verified(artifact, 2**24) == found.bundle.model
    path = Path(uri.removeprefix("file://"))
    for place in (40, len(found.data) // 2, len(found.data) - 1):
        changed = bytearray(found.data)
        changed[place] ^= 1
        path.write_bytes(changed)
        with pytest.raises(Unservable, match="SHA-256"):
            verified(artifact, 2**24)
    with pytest.raises(CannotPackage, match="other bytes"):
        stored(found.data, str(tmp_path))


def test_a_bundle_whose_parts_are_not_what_its_manifest_says_is_none() -> None:
    found = made(fitted(), rows=20)
    at = found.data.index(found.bundle.model)
    changed = bytearray(found.data)
    changed[at + 10] ^= 1
    for data in (bytes(changed), b"PK\x03\x04", b"onnx"):
        with pytest.raises(NotABundle):
            Bundle.of(data)


def test_a_bundle_is_stored_through_fsspec() -> None:
    found = made(fitted(), rows=20)
    uri = stored(found.data, "memory://models")
    assert uri == f"memory://models/{found.bundle.sha256[:2]}/{found.bundle.sha256}.mbundle"
    assert stored(found.data, "memory://models") == uri
