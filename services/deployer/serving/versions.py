"""The versions of a deployment are asked, each for its rows; where one fails, its fallback answers."""

from collections import Counter
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
import structlog

from services.deployer.serving.batching import Row
from services.deployer.serving.frames import DTYPES, Columns, Frame
from services.deployer.serving.routes import Route
from services.deployer.serving.runtimes import Runtimes
from shared.runtime.problems import Problem

logger = structlog.get_logger()

CONSTANT = 0
"""The version that an answer names where a constant stands in for all of them."""

_FIRST = np.zeros(1, np.int64)
FAILURES = (502, 503, 504)
"""What is the version's fault, or that of what it runs on, and not the request's."""

LOGGED_EVERY = 1_000
MAX_USED = 10_000


@dataclass(frozen=True, slots=True)
class Part:
    """The rows of a request that one version answered, at `places`."""

    version: int
    places: np.ndarray
    frame: Frame
    outputs: Columns


@dataclass(slots=True)
class Usage:
    """What one version did in this process: requests, rows, and seconds of answering (for remote servers: waiting)."""

    requests: int = 0
    rows: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class Versions:
    """Asks them. `used` and `fell` are by (deployment, version): what each took, and in how many requests it failed and
    another answered."""

    runtimes: Runtimes
    used: dict[tuple[str, int], Usage] = field(default_factory=dict[tuple[str, int], "Usage"])
    fell: Counter[tuple[str, int]] = field(default_factory=Counter[tuple[str, int]])

    async def ask(self, route: Route, frames: dict[int, Frame], versions: np.ndarray, fall: bool = True) -> list[Part]:
        """The answers to the rows of each version [n] in `versions`, which tells afterwards who answered. With `fall`
        the champion answers for challengers that fail, and for it the deployment's constant. Raises Problem."""
        parts: list[Part] = []
        champion = route.state.traffic.champion
        fallback = route.state.fallback if fall else None
        # the champion last: what fell to it is asked together with its own
        for version in sorted(frames, key=lambda one: one == champion):
            frame = frames[version]
            places = _FIRST if frame.rows == len(frames) == 1 else np.flatnonzero(versions == version)
            if not len(places):
                continue
            some = frame if len(places) == frame.rows else frame.take(places)
            try:
                started = perf_counter()
                outputs = await self.runtimes.run(route, version, some)
                self._used(route.name, version, some.rows, perf_counter() - started)
                parts.append(Part(version, places, some, outputs))
            except Problem as problem:
                if fallback is None or fallback.kind == "none" or problem.status not in FAILURES:
                    raise
                if version != champion and champion in frames:
                    versions[places] = champion
                elif fallback.kind == "constant":
                    versions[places] = CONSTANT
                    parts.append(Part(CONSTANT, places, some, _constant(route, len(places))))
                else:
                    raise
                self._fell(route, version, problem)
        return parts

    async def row(self, route: Route, version: int, values: Row) -> Columns:
        """The answer of one version to one row. Raises Problem, without a fallback."""
        started = perf_counter()
        outputs = await self.runtimes.row(route, version, values)
        self._used(route.name, version, 1, perf_counter() - started)
        return outputs

    def _used(self, name: str, version: int, rows: int, seconds: float) -> None:
        usage = self.used.get((name, version))
        if usage is None:
            if len(self.used) >= MAX_USED:
                self.used.pop(next(iter(self.used)))
            usage = self.used[name, version] = Usage()
        usage.requests += 1
        usage.rows += rows
        usage.seconds += seconds

    def _fell(self, route: Route, version: int, problem: Problem) -> None:
        self.fell[route.name, version] += 1
        if self.fell[route.name, version] % LOGGED_EVERY == 1:
            logger.warning("fallback answers", deployment=route.name, version=version, reason=problem.detail)


def _constant(route: Route, rows: int) -> Columns:
    """The deployment's constant outputs for so many rows, in the types of the champion's signature; one that came later
    may have others: then in their own."""
    served = route.served.get(route.state.traffic.champion)
    types = {one.name: DTYPES[one.type] for one in served.signature.outputs} if served is not None else {}
    return {name: _column(rows, value, types.get(name)) for name, value in _outputs(route).items()}


def _column(rows: int, value: Any, dtype: Any) -> np.ndarray:
    own = np.full(rows, value, _dtype(value))
    if dtype is None or (own.dtype.kind == "O") != (np.dtype(dtype).kind == "O"):
        return own
    return own.astype(dtype)


def _outputs(route: Route) -> dict[str, Any]:
    return dict(route.state.fallback.outputs)


def _dtype(value: Any) -> Any:
    kinds = {bool: np.bool_, int: np.int64, float: np.float64}
    return kinds.get(type(value), np.object_)
