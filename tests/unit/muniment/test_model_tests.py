"""Tests of a model: each kind holds and fails alone, and what cannot be told is neither."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from sklearn.linear_model import LogisticRegression

from muniment.packaging import Bundle, CannotPackage, Options, package
from muniment.packaging.sources import Source
from muniment.testing.checks import Found
from muniment.testing.declared import check_tests
from muniment.testing.running import Running

RNG = np.random.default_rng(11)
X = pd.DataFrame({"wind": RNG.normal(0, 1, 600), "noise": RNG.normal(0, 1, 600)})
KNOWN = X.assign(
    late=(X["wind"] + RNG.normal(0, 0.3, 600) > 0).astype(int), origin=np.where(X["noise"] > 0, "JFK", "LGA")
)


def bundle(tests: Any, flip: bool = False) -> bytes:
    estimator = LogisticRegression().fit(X, 1 - KNOWN["late"] if flip else KNOWN["late"])
    estimator.coef_[0, 1] = 0.0  # the noise has no say at all
    return package(
        Source("python", estimator=estimator), X, Options("late", tests=yaml.safe_dump({"tests": tests}))
    ).data


def run(folder: Path, test: dict[str, Any], champion: Bundle | None = None) -> Found:
    file, data = folder / "late.mbundle", folder / "known.parquet"
    file.write_bytes(bundle([{"name": "t", "dataset": "known"} | test]))
    KNOWN.to_parquet(data)
    conversion, found = Running(file, {"known": data}, champion).run()
    assert (conversion.name, conversion.passed) == ("conversion", True)
    return found


METRIC = {"kind": "metric", "metric": "auc", "label": "late"}
MEMORY = "{name: a, kind: memory, dataset: d, at_most_mib: 1}"
INVARIANCE = {"kind": "invariance", "values": [-3, 0, 3]}
DIRECTION = {"kind": "direction", "feature": "wind", "by": 1.0}


@pytest.mark.parametrize(
    ("test", "passed"),
    [
        (METRIC | {"at_least": 0.9, "slices": ["origin"]}, True),
        (METRIC | {"at_least": 0.999}, False),
        (METRIC | {"metric": "brier", "at_most": 0.2}, True),
        (METRIC | {"metric": "accuracy", "at_least": 0.8}, True),
        (METRIC | {"metric": "recall", "at_least": 0.8, "threshold": 0.99}, False),
        (INVARIANCE | {"feature": "noise"}, True),
        (INVARIANCE | {"feature": "wind"}, False),
        (DIRECTION | {"expect": "up"}, True),
        (DIRECTION | {"expect": "down"}, False),
        ({"kind": "latency", "p95_ms": 1000, "repeats": 20}, True),
        ({"kind": "latency", "p95_ms": 1e-6, "repeats": 20}, False),
        ({"kind": "champion", "metric": "auc", "label": "late"}, True),
    ],
)
def test_each_kind_holds_and_fails(tmp_path: Path, test: dict[str, Any], passed: bool) -> None:
    found = run(tmp_path, test)
    assert found.passed is passed, found.reason
    assert found.figures


def test_a_slice_alone_fails_a_metric(tmp_path: Path) -> None:
    known = KNOWN.assign(late=np.where(KNOWN["origin"] == "JFK", KNOWN["late"], 1 - KNOWN["late"]))
    file, data = tmp_path / "late.mbundle", tmp_path / "known.csv"
    known.to_csv(data, index=False)
    test = METRIC | {"name": "t", "dataset": "known", "at_least": 0.3, "slices": ["origin"]}
    file.write_bytes(bundle([test]))
    [_, found] = Running(file, {"known": data}, None).run()
    assert (found.passed, "origin is LGA" in found.reason, "JFK" in found.reason) == (False, True, False)


def test_worse_than_the_champion_fails_and_better_does_not(tmp_path: Path) -> None:
    test = {"kind": "champion", "metric": "auc", "label": "late", "by": 0.01}
    assert run(tmp_path, test, Bundle.of(bundle([], flip=True))).passed
    file, data = tmp_path / "flipped.mbundle", tmp_path / "known.parquet"
    file.write_bytes(bundle([test | {"name": "t", "dataset": "known"}], flip=True))
    found = Running(file, {"known": data}, Bundle.of(bundle([]))).run()[1]
    assert (found.passed, found.figures["worse_by"] > 0.5) == (False, True)


def test_memory_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    found = run(tmp_path, {"kind": "memory", "at_most_mib": 500})
    assert found.passed, found.reason
    assert 0 <= found.figures["mib"] < 500


@pytest.mark.parametrize(
    "test",
    [
        METRIC | {"at_least": 0.5, "label": "none"},
        INVARIANCE | {"feature": "none"},
        METRIC | {"at_least": 0.5, "output": "x"},
    ],
)
def test_what_cannot_be_told_is_no_failure(tmp_path: Path, test: dict[str, Any]) -> None:
    with pytest.raises(CannotPackage):
        run(tmp_path, test)


@pytest.mark.parametrize(
    "text",
    [
        "tests: [{name: a, kind: metric, dataset: d, metric: auc, label: y}]",
        "tests: [{name: a, kind: speed, dataset: d}]",
        f"tests: [{MEMORY}, {MEMORY}]",
        "tests: [",
        "test: []",
    ],
)
def test_a_mistake_in_the_declaration_is_told(text: str) -> None:
    with pytest.raises(CannotPackage, match="tests"):
        check_tests(text)
