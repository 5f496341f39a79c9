"""The compiled fold gives the states of NumPy's, to the bit."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from services.monitor.domain import coding, native
from services.monitor.domain.bins import bins_of
from services.monitor.domain.folding import sketch_of
from shared.events.registry import Field, Signature
from tests.component.monitor_story import arrow, monitoring, table
from tests.unit.monitor.drawn import KINDS

NAMES = sorted(KINDS)
SIGNATURE = Signature(inputs=tuple(Field(name=name, type="double") for name in NAMES), outputs=())


def elsewhere() -> bool:
    """Whether other tests of this process did not want to compile: what does then runs in a process of its own."""
    return os.environ.get("NUMBA_DISABLE_JIT", "0") != "0"


@pytest.fixture
def compiled() -> Iterator[None]:
    if elsewhere():
        pytest.skip("runs in a process of its own")
    assert native.load()
    yield
    native.unload()


def drawn(rows: int, seed: int) -> pa.RecordBatch:
    """Numbers of every kind, a tenth of them missing, with texts, booleans, whole numbers and an output."""
    rng = np.random.default_rng(seed)
    columns = {
        f"feature.{name}": pa.array(np.where(rng.random(rows) < 0.1, np.nan, KINDS[name](rng, rows)), from_pandas=True)
        for name in NAMES
    }
    columns["feature.full"] = pa.array(rng.normal(size=rows) * 3)
    columns["feature.whole"] = pa.array(rng.integers(-(2**62), 2**62, rows))
    columns["feature.text"] = pa.array(rng.choice(["a", "b", "c"], rows))
    columns["feature.flag"] = pa.array(rng.random(rows) < 0.5)
    return pa.record_batch(columns | {"output.p": pa.array(rng.uniform(-1, 2, rows))})


@pytest.mark.parametrize(
    ("wish", "after"), [(None, [False, False, True, True]), (True, [True] * 4), (False, [False] * 4)]
)
async def test_who_folds_much_compiles_once(
    wish: bool | None, after: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    loads: list[threading.Event] = []
    loaded = threading.Event()

    def load() -> bool:
        loads.append(loaded)
        loaded.set()
        return True

    monkeypatch.setattr(native, "load", load)
    async with monitoring(native_fold=wish, native_fold_rows=20) as system:
        found = [bool(loads) or (wish is True and loaded.wait(10))]
        for rows in (19, 1, 30):
            answer = await system.client.post("/v1/predictions", **arrow(table(rows)))
            assert answer.status_code == 202
            await system.settle()
            if rows == 1 and wish is None:
                assert loaded.wait(10)
            found.append(bool(loads))
    assert found == after
    assert len(loads) <= 1


def test_states_are_the_same_to_the_bit(compiled: None) -> None:
    rng = np.random.default_rng(0)
    reference = {name: KINDS[name](rng, 2_000).tolist() for name in NAMES} | {"full": rng.normal(size=500).tolist()}
    bins = bins_of(SIGNATURE, reference)
    parts = [drawn(rows, seed) for seed, rows in enumerate((1, 700, 5_000, 300))]
    found = [coding.encode(sketch_of(given, bins)) for given in (parts[0], parts[2], parts)]
    native.unload()
    assert found == [coding.encode(sketch_of(given, bins)) for given in (parts[0], parts[2], parts)]
    assert native.kernel() is None


def test_a_column_is_read_where_it_lies(compiled: None) -> None:
    """Slices of one table, copies of its rows, and texts of each part's own dictionary give one state."""
    whole = drawn(2_000, 7)
    texts = whole.schema.get_field_index("feature.text")
    parts = [whole.slice(first, 500) for first in range(0, 2_000, 500)]
    copied = [part.take(pa.array(range(500))) for part in parts]
    coded = [part.set_column(texts, "feature.text", part.column(texts).dictionary_encode()) for part in parts]
    states = {coding.encode(sketch_of(given, {})) for given in (whole, parts, copied, coded)}
    assert len(states) == 1


def test_all_that_compiles_holds_in_a_process_that_may() -> None:
    if not elsewhere():
        pytest.skip("the tests above have run")
    names = (test_states_are_the_same_to_the_bit.__name__, test_a_column_is_read_where_it_lies.__name__)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        *(f"{__file__}::{name}" for name in names),
    ]
    done = subprocess.run(
        command, env=os.environ | {"NUMBA_DISABLE_JIT": "0"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "2 passed" in done.stdout
