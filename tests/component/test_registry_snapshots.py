"""A fresh process begins at a model's snapshot, and passes over one that does not fit."""

from typing import Any

import pytest

from services.registry import snapshots
from services.registry.domain import models
from services.registry.service import DEFINITION
from services.registry.snapshots import HEAD, TABLE, Snapshots
from shared.events.envelope import Event
from shared.log.tables import Put
from shared.runtime.commands import CommandLoop
from tests.component.test_registry_history import done, version
from tests.support import System, running

MODEL = "model/late"


async def begun(system: System, count: int) -> None:
    await done(system, "POST", "/v1/models", {"name": "late"})
    for _ in range(count):
        await done(system, "POST", "/v1/models/late/versions", version("a", "main", []))
    await Snapshots.of(system.services["registry"]).keep()


async def fresh(system: System, monkeypatch: pytest.MonkeyPatch, subject: str = MODEL) -> tuple[int, Any, int]:
    """(sequence, state) as a new process finds them, and how many events it folded for it."""
    service = system.services["registry"]
    service.commands = CommandLoop("registry", service.store)
    Snapshots.of(service)
    count = 0

    def evolve(state: Any, event: Event) -> Any:
        nonlocal count
        count += 1
        return evolved(state, event)

    evolved = models.evolve
    with monkeypatch.context() as patched:
        patched.setattr(models, "evolve", evolve)
        async with service.store.begin() as unit:
            sequence, state = await service.commands.state_in(unit, models, subject)  # type: ignore[arg-type]
    return sequence, state, count


async def folded(system: System, subject: str = MODEL) -> tuple[int, Any]:
    """The same without snapshots."""
    store = system.services["registry"].store
    async with store.begin() as unit:
        return await CommandLoop("registry", store).state_in(unit, models, subject)  # type: ignore[arg-type]


async def test_what_a_snapshot_holds_is_not_folded_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(DEFINITION, snapshot_events=5) as system:
        await begun(system, 5)
        sequence, state, few = await fresh(system, monkeypatch)
        assert (sequence, state) == await folded(system)
        assert few < 5 < sequence
        await begun(system, 5)
        assert (await fresh(system, monkeypatch))[:2] == await folded(system)


@pytest.mark.parametrize("why", ["altered", "cut", "other code", "other stream"])
async def test_one_that_does_not_fit_is_passed_over(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(DEFINITION, snapshot_events=5) as system:
        await begun(system, 5)
        store = system.stores["registry"]
        kept = {part: await store.get(TABLE, MODEL, part) for part in (HEAD, 0)}
        head, part = kept[HEAD], kept[0]
        assert head is not None
        assert part is not None
        async with store.begin() as unit:
            if why == "altered":
                altered = part["body"][:-1] + bytes([part["body"][-1] ^ 1])
                await unit.apply([Put(TABLE, part | {"body": altered})])
            elif why == "cut":
                await unit.apply([Put(TABLE, head | {"body": head["body"][:-9]})])
            elif why == "other stream":
                await unit.apply([Put(TABLE, row | {"stream": "model/other"}) for row in (head, part)])
        if why == "other code":
            monkeypatch.setattr(snapshots, "schema", lambda: "of another release")
        if why == "other stream":
            await done(system, "POST", "/v1/models", {"name": "other"})
        subject = "model/other" if why == "other stream" else MODEL
        sequence, state, count = await fresh(system, monkeypatch, subject)
        assert (sequence, state) == await folded(system, subject)
        assert count == sequence
