"""How much memory the states of 1,000 deployments of 50 features take, as they are kept and as they are held."""

import tracemalloc
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from bench.line import Line
from services.monitor.domain import coding
from services.monitor.domain.bins import bins_of
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.sketch import Sketch
from shared.events.registry import Signature

DEPLOYMENTS = 1_000
HELD = 10
MOST = 2 * 2**30
ROWS = 10_000
SIGNATURE = Signature(inputs=(), outputs=())


def alone() -> Iterator[Line]:
    """Two lines: 50 numeric features, and 30 with 20 categorical ones of which 5 have more values than are counted by
    name."""
    yield _line("50 numeric features", 50, 0, 0)
    yield _line("30 numeric, 15 categorical, 5 beyond the limit", 30, 15, 5)


def _line(what: str, numeric: int, categorical: int, crowded: int) -> Line:
    data = [coding.encode(_state(seed, numeric, categorical, crowded)) for seed in range(HELD)]
    coding.decode(data[0])  # what the first call loads is not the states'
    tracemalloc.start()
    held = [coding.decode(one) for one in data]
    memory = tracemalloc.get_traced_memory()[0] / len(held) * DEPLOYMENTS
    tracemalloc.stop()
    kept = sum(len(one) for one in data) / len(data) * DEPLOYMENTS
    figures = f"{memory / 2**20:,.0f} MiB in memory, {kept / 2**20:,.0f} MiB as bytes; {HELD} states measured"
    return Line(f"1,000 states, {what}", MOST / max(memory, kept), "2 GiB", 1, figures)


def _state(seed: int, numeric: int, categorical: int, crowded: int) -> Sketch:
    rng = np.random.default_rng(seed)
    reference = {f"f{place}": rng.normal(size=1_000).tolist() for place in range(numeric)}
    columns = {f"feature.f{place}": pa.array(rng.normal(size=ROWS)) for place in range(numeric)}
    columns |= {f"feature.c{place}": pa.array(rng.choice(list("abcdefgh"), ROWS)) for place in range(categorical)}
    columns |= {
        f"feature.id{place}": pa.array([f"{seed}-{place}-{row}" for row in range(ROWS)]) for place in range(crowded)
    }
    table = pa.record_batch(columns | {"output.p": pa.array(rng.uniform(size=ROWS))})
    return sketch_of(table, bins_of(SIGNATURE, reference))
