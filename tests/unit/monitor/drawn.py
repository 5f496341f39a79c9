"""Numbers of every kind, for figures that are checked against reference libraries."""

from collections.abc import Callable

import numpy as np
import pyarrow as pa

from services.monitor.domain.bins import FeatureBins, bins_of
from services.monitor.domain.drift import Base, FeatureDrift, drift
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.reference import reference_of
from shared.events.registry import Field, Signature

Draw = Callable[[np.random.Generator, int], np.ndarray]

KINDS: dict[str, Draw] = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(-3, 8, n),
    "lognormal": lambda rng, n: rng.lognormal(3, 2, n),
    "cauchy": lambda rng, n: rng.standard_cauchy(n),
    "negative": lambda rng, n: -rng.pareto(1.2, n) * 1e6,
    "constant": lambda rng, n: np.full(n, 7.25),
    "two values": lambda rng, n: rng.choice([0.1, 0.9], n),
    "few distinct": lambda rng, n: rng.choice([-5.0, 0.0, 0.5, 3.0, 1e6], n, p=[0.1, 0.5, 0.2, 0.15, 0.05]),
    "hours": lambda rng, n: rng.integers(0, 24, n).astype(float),
    "counts": lambda rng, n: rng.poisson(2, n).astype(float),
    "zero-inflated": lambda rng, n: np.where(rng.random(n) < 0.7, 0.0, rng.exponential(50, n)),
    "years": lambda rng, n: rng.normal(2013, 3, n),
    "timestamps": lambda rng, n: 1.7e18 + rng.integers(0, 10**15, n),
    "int64 edges": lambda rng, n: rng.choice(np.array([-(2**63), -1, 0, 1, 2**53, 2**63 - 1], np.int64), n).astype(
        float
    ),
    "float32": lambda rng, n: rng.normal(size=n).astype(np.float32).astype(float),
    "tiny": lambda rng, n: rng.normal(size=n) * 1e-300,
    "subnormal": lambda rng, n: rng.integers(0, 1000, n) * 5e-324,
    "huge": lambda rng, n: rng.normal(size=n) * 1e300,
    "extremes": lambda rng, n: np.where(
        rng.random(n) < 0.02, rng.choice([1.7e308, -1.7e308, 1e12], n), rng.normal(size=n)
    ),
}


def one_column(values: np.ndarray | pa.Array) -> pa.RecordBatch:
    return pa.record_batch({"feature.x": values})


def bins_for(reference: np.ndarray | list, kind: str = "double") -> dict[str, FeatureBins]:
    signature = Signature(inputs=(Field(name="x", type=kind, required=False),), outputs=())
    return bins_of(signature, {"x": reference if isinstance(reference, list) else reference.tolist()})


def compared(now: np.ndarray | pa.Array, reference: np.ndarray | list, kind: str = "double") -> FeatureDrift:
    """Drift of one feature whose version has this reference."""
    values = reference if isinstance(reference, list) else reference.tolist()
    bins = bins_for(values, kind)
    (found,) = drift(sketch_of(one_column(now), bins), bins, Base(reference_of({"x": values}, bins), bins))
    return found
