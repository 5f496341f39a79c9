"""The tests that a data scientist declares beside a model, as YAML; a mistake is told with its place."""

from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from muniment.packaging.sources import CannotPackage

MAX_TESTS = 200
Kind = Literal["quality", "performance", "security", "availability", "compliance"]
Metric = Literal["auc", "accuracy", "precision", "recall", "f1", "brier", "log_loss", "mae", "rmse", "r2"]
LOWER_IS_BETTER = frozenset({"brier", "log_loss", "mae", "rmse"})


class Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Common(Declared):
    """`name`: under which the evidence is recorded. `evidence`: of which kind it is."""

    name: Annotated[str, Field(min_length=1, max_length=128)]


class MetricTest(Common):
    """A metric is at least or at most so much on a data set, and on every group of each column of `slices` that has
    `min_rows` rows; labels above `threshold` are said to be positive."""

    kind: Literal["metric"]
    evidence: Kind = "quality"
    dataset: str
    metric: Metric
    at_least: float | None = None
    at_most: float | None = None
    output: str | None = None
    label: str
    threshold: float = 0.5
    slices: tuple[str, ...] = ()
    min_rows: Annotated[int, Field(ge=1)] = 30

    @model_validator(mode="after")
    def _bounded(self) -> "MetricTest":
        if self.at_least is None and self.at_most is None:
            raise ValueError("a metric needs 'at_least' or 'at_most'")
        return self


class ChampionTest(Common):
    """Not worse than the champion, the bundle of another version, by more than `by`."""

    kind: Literal["champion"]
    evidence: Kind = "quality"
    dataset: str
    metric: Metric
    by: Annotated[float, Field(ge=0)] = 0.0
    output: str | None = None
    label: str
    threshold: float = 0.5


class InvarianceTest(Common):
    """The answer stays within `tolerance` for a `share` of the rows while `feature` takes each of `values` in turn."""

    kind: Literal["invariance"]
    evidence: Kind = "compliance"
    dataset: str
    feature: str
    values: Annotated[tuple[Any, ...], Field(min_length=1, max_length=100)]
    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    output: str | None = None


class DirectionTest(Common):
    """The answer does not fall (`up`) or rise (`down`), beyond `tolerance`, for a `share` of the rows when `by` is
    added to `feature`."""

    kind: Literal["direction"]
    evidence: Kind = "quality"
    dataset: str
    feature: str
    by: float
    expect: Literal["up", "down"]
    tolerance: Annotated[float, Field(ge=0)] = 0.0
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    output: str | None = None


class LatencyTest(Common):
    """The 95th percentile of the time of one answer to `rows` rows, over `repeats` answers, in milliseconds."""

    kind: Literal["latency"]
    evidence: Kind = "performance"
    dataset: str
    p95_ms: Annotated[float, Field(gt=0)]
    rows: Annotated[int, Field(ge=1, le=10_000)] = 1
    repeats: Annotated[int, Field(ge=20, le=10_000)] = 200


class MemoryTest(Common):
    """How much a process grows that loads the model and answers the data set once, in MiB."""

    kind: Literal["memory"]
    evidence: Kind = "performance"
    dataset: str
    at_most_mib: Annotated[float, Field(gt=0)]


Test = Annotated[
    MetricTest | ChampionTest | InvarianceTest | DirectionTest | LatencyTest | MemoryTest, Field(discriminator="kind")
]


class Tests(Declared):
    """`datasets`: by name the file, Parquet or CSV, relative to where the tests are run."""

    datasets: dict[str, str] = {}
    tests: Annotated[tuple[Test, ...], Field(max_length=MAX_TESTS)] = ()

    @model_validator(mode="after")
    def _known(self) -> "Tests":
        names = [one.name for one in self.tests]
        if twice := {name for name in names if names.count(name) > 1}:
            raise ValueError(f"two tests are called {sorted(twice)[0]}")
        return self


def check_tests(text: str) -> Tests:
    """Raises CannotPackage with the place of the first mistake."""
    try:
        return Tests.model_validate(yaml.safe_load(text) or {})
    except yaml.YAMLError as error:
        raise CannotPackage(f"The tests are no YAML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the document"
        raise CannotPackage(f"The tests cannot be read at {place}: {first['msg']}.") from error
