"""Waiting until the views have what was sent to the log, for longer than `?after=` would: processes may be killed."""

import time
from collections.abc import Callable
from typing import Any

from muniment.client import ProblemError
from muniment.demo.story import cast, gates
from muniment.demo.story.scene import Scene

SECONDS = 120.0
POLL_SECONDS = 0.05
COSTLY_POLL_SECONDS = 0.5
"""Between questions that have the system add up the whole year."""


def until_in_ledger(scene: Scene, prediction_id: str) -> None:
    """Until the audit has the batch of this prediction."""

    def there() -> bool:
        try:
            scene.client.get(f"/v1/lineage/prediction/{prediction_id}", depth=0)
        except ProblemError as problem:
            if problem.status != 404:
                raise
            return False
        return True

    _until(f"the audit knows prediction {prediction_id}", there)


def until_measured(scene: Scene) -> None:
    """Until the monitor has joined and measured every outcome that was told."""

    def measured() -> bool:
        items = scene.client.get(f"/v1/deployments/{cast.DEPLOYMENT}/kpis")["items"]
        return sum(item["outcomes"] for item in items if item["kpi"] == cast.KPI) >= scene.told

    _until(f"the monitor has measured {scene.told} outcomes", measured, COSTLY_POLL_SECONDS)


def until_flags_placed(scene: Scene) -> None:
    """Until feedback has seen all that was said about flags, and found the predictions that they are about."""

    def placed() -> bool:
        flags = [scene.client.get(f"/v1/flags/{flagged.flag}") for flagged in scene.flags]
        return all(flag["located"] for flag in flags)

    for event in scene.flag_writes:
        scene.client.get("/v1/flags", after=event, limit=1)
    _until("every flag is placed", placed)


def until_gate(scene: Scene, version: int, allowed: bool) -> dict[str, Any]:
    """Until the registry has stated that a version's gate to production is open, or closed; answers that change, the
    gate's newest."""
    found: list[dict[str, Any]] = []

    def stated() -> bool:
        found[:] = scene.client.get(f"{gates.gate(version)}/history", stage=gates.STAGE, limit=1)["items"]
        return bool(found) and found[0]["allowed"] is allowed

    _until(f"the gate of version {version} is {'open' if allowed else 'closed'}", stated)
    return found[0]


def until_reported(scene: Scene, predictions: Callable[[], int]) -> None:
    """Until the audit's report counts every flight: it hears of the monitor's windows after the monitor has them."""
    _until("the report counts every flight", lambda: predictions() >= len(scene.flights), COSTLY_POLL_SECONDS)


def _until(what: str, true: Callable[[], bool], pause: float = POLL_SECONDS) -> None:
    deadline = time.monotonic() + SECONDS
    while not true():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{SECONDS:.0f} s passed before {what}")
        time.sleep(pause)
