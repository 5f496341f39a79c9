"""Folding ten numeric features with all that the five statistics need, and the statistics, on one core: beside peers in
virtual environments of their own (`.stack/peers`), and beside counting 256 equal cells with NumPy alone."""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from bench.line import Line
from bench.peer import INSTALL_SECONDS, NotHad, installed
from bench.peers.drawn import NAMES, REFERENCE, columns
from services.monitor.domain import native
from services.monitor.domain.bins import bins_of
from services.monitor.domain.drift import Base, drift
from services.monitor.domain.folding import sketch_of
from services.monitor.domain.grid import INNER
from services.monitor.domain.reference import reference_of
from services.monitor.domain.sketch import EMPTY, merge
from shared.events.registry import Field, Signature

FILES = Path(__file__).parent / "peers"
NEEDS = {
    "evidently": (["evidently", "pandas<3"], 40, 50_000),
    "whylogs": (["whylogs", "pandas<3", "setuptools<80"], 20, 50_000),
    "nannyml": (["nannyml", "statsmodels", "pandas<3"], 3, 500_000),
    "frouros": (["frouros"], 1, 500_000),
}
"""What is installed for a peer, how many times as fast we should be, and the rows of one call."""

BATCH = 10_000
TOGETHER = 5
ROWS = 500_000
ROUNDS = 5
SECONDS = 3.0
NUMPY_LEAST = 0.3
PLAIN = "fold and five statistics"
COMPILED = f"{PLAIN}, compiled"

SIGNATURE = Signature(inputs=tuple(Field(name=name, type="double") for name in NAMES), outputs=())


def alone() -> Iterator[Line]:
    """Two lines for NumPy and for each peer: with the fold compiled, as a worker has it by itself after
    `native_fold_rows`, and without. The floors are for the former."""
    ours, counting = _ours(columns(ROWS, 1)), partial(_counted, columns(ROWS, 1))
    if native.load():
        yield _counting(COMPILED, ours, counting, NUMPY_LEAST)
        native.unload()
    yield _counting(PLAIN, ours, counting, None)
    yield from _peers(ours)


def _counting(what: str, ours: Callable[[], None], counting: Callable[[], None], least: float | None) -> Line:
    rates = sorted(
        [(_rate(ours, ROWS), _rate(counting, ROWS)) for _ in range(ROUNDS)], key=lambda pair: pair[0] / pair[1]
    )
    mine, its = rates[ROUNDS // 2]
    figures = f"{mine:,.0f} rows/s of 10 features against {its:,.0f}"
    return Line(what, mine / its, "NumPy bincount of 256 equal cells", least, figures)


def _peers(ours: Callable[[], None]) -> Iterator[Line]:
    for name, (packages, least, rows) in NEEDS.items():
        before = _ours_now(ours)
        try:
            told = _peer(name, packages, rows)
        except NotHad as error:
            yield Line(PLAIN, float("nan"), f"{name} (could not be run)", None, str(error))
            continue
        after, its = _ours_now(ours), told["rows"] / told["seconds"]
        for what, rate in before.items():
            mine = (rate + after[what]) / 2
            figures = f"{mine:,.0f} rows/s of 10 features against {its:,.0f}: {told['what']}"
            yield Line(what, mine / its, f"{name} {told['version']}", least if what == COMPILED else None, figures)


def _ours_now(ours: Callable[[], None]) -> dict[str, float]:
    """Rows per second with the fold compiled, where it can be, and without."""
    found: dict[str, float] = {}
    if native.load():
        found[COMPILED] = _rate(ours, ROWS)
        native.unload()
    return found | {PLAIN: _rate(ours, ROWS)}


def _ours(values: dict[str, np.ndarray]) -> Callable[[], None]:
    """Fold Arrow batches of the log's largest size into one window, and compare it with the reference."""
    reference = {name: column.tolist() for name, column in columns(REFERENCE, 0).items()}
    bins = bins_of(SIGNATURE, reference)
    base = Base(reference_of(reference, bins), bins)
    whole = pa.record_batch({f"feature.{name}": column for name, column in values.items()})
    batches = [whole.slice(start, BATCH) for start in range(0, whole.num_rows, BATCH)]

    def run() -> None:
        state = EMPTY
        for place in range(0, len(batches), TOGETHER):
            state = merge(state, sketch_of(batches[place : place + TOGETHER], bins, beside=state.rows))
        found = drift(state, bins, base)
        assert len(found) == len(NAMES)
        assert state.predictions == whole.num_rows

    return run


def _counted(values: dict[str, np.ndarray]) -> None:
    """Each column in 256 equal cells, one for what lies below and one above, batch by batch."""
    low, scale = -2.6, INNER / 5.2
    cells = np.zeros((len(NAMES), INNER + 2), np.int64)
    for start in range(0, ROWS, BATCH):
        for place, name in enumerate(NAMES):
            positions = (values[name][start : start + BATCH] - low) * scale
            slots = np.clip(positions, -1, INNER).astype(np.int64) + 1
            cells[place] += np.bincount(slots, minlength=INNER + 2)
    assert cells.sum() == ROWS * len(NAMES)


def _rate(call: Callable[[], None], rows: int) -> float:
    """Rows per second of the fastest of three calls."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
    return rows / best


def _peer(name: str, packages: list[str], rows: int) -> dict[str, Any]:
    """What a peer tells of itself. Raises NotHad."""
    python = installed(name, packages)
    try:
        command = [str(python), str(FILES / f"{name}.py"), str(rows), str(SECONDS)]
        done = subprocess.run(command, cwd=FILES, capture_output=True, text=True, timeout=INSTALL_SECONDS, check=True)
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (subprocess.SubprocessError, OSError, ValueError, IndexError) as error:
        said = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise NotHad(f"could not be run: {said[-1] if said else error}") from error
