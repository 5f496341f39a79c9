"""What came true of an answer came true of its shadows, whichever of the three comes first."""

from collections.abc import AsyncIterator
from itertools import permutations
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from shared.events import batches
from shared.events.codec import decode
from shared.events.monitor import OutcomesJoined
from shared.runtime.commands import new_id
from shared.runtime.predictions import PredictionWriter, Target
from tests.component.judged_story import get, judging, tell
from tests.component.monitor_story import AT
from tests.support import System

ROWS = 40
RNG = np.random.default_rng(3)
ANSWERED, SHADOWED = RNG.random(ROWS), RNG.random(ROWS)
FIRST = (RNG.random(ROWS) < 0.4).astype(float)
LATER = np.where(np.arange(ROWS) % 5 == 0, 1 - FIRST, FIRST)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with judging() as system:
        yield system


async def log(system: System, version: int, batch: str, score: np.ndarray, **more: Any) -> None:
    """Write predictions as the deployer does."""
    writer = PredictionWriter("deployer", system.log, system.settings)
    table = pa.record_batch({"output.chance": score, **more})
    await writer.batch(Target("loans", "loans", version), table, "ada", batch, AT)


def spent(score: np.ndarray, truth: np.ndarray) -> float:
    called, late = score >= 0.3, truth == 1
    return float(60 * (called & ~late).sum() + 300 * (~called & late).sum())


async def totals(system: System) -> dict[int, tuple[float, int]]:
    items = (await get(system, "/v1/deployments/loans/kpis"))["items"]
    return {item["version"]: (item["total"], item["cases"]) for item in items}


@pytest.mark.parametrize("order", list(permutations(["answer", "shadow", "told"])))
@pytest.mark.parametrize("at_once", [False, True])
async def test_outcomes_reach_shadows_in_any_order(order: tuple[str, ...], at_once: bool) -> None:
    async with judging(3) as system:
        answer, shadow = new_id(), new_id()
        reached = [batches.prediction_id(answer, row) for row in range(ROWS)][::-1]
        for step in order:
            if step == "answer":
                await log(system, 1, answer, ANSWERED)
            elif step == "shadow":
                await log(system, 2, shadow, SHADOWED, shadow_of=pa.array(reached))
            else:
                await tell(system, answer, FIRST)
            if not at_once:
                await system.settle()
        await system.settle()
        assert await totals(system) == {1: (spent(ANSWERED, FIRST), ROWS), 2: (spent(SHADOWED, FIRST[::-1]), ROWS)}
        await tell(system, answer, LATER)
        await system.settle()
        assert await totals(system) == {1: (spent(ANSWERED, LATER), ROWS), 2: (spent(SHADOWED, LATER[::-1]), ROWS)}


async def test_a_shadow_of_several_answers_takes_each_rows_own(system: System) -> None:
    """A request whose rows fell to champion and challenger has two batches of answers and one of the shadow."""
    one, two, shadow = new_id(), new_id(), new_id()
    await log(system, 1, one, ANSWERED[:20])
    await log(system, 1, two, ANSWERED[20:])
    reached = [batches.prediction_id(batch, row) for row in range(20) for batch in (one, two)]
    await log(system, 2, shadow, SHADOWED, shadow_of=pa.array(reached))
    await system.settle()
    await tell(system, two, FIRST[20:])
    await tell(system, one, FIRST[:20])
    await system.settle()
    truth = np.stack([FIRST[:20], FIRST[20:]], axis=1).ravel()
    assert (await totals(system))[2] == (spent(SHADOWED, truth), ROWS)


async def test_the_record_says_where_a_shadows_outcomes_came_from(system: System) -> None:
    answer, early, late = new_id(), new_id(), new_id()
    reached = [batches.prediction_id(answer, row) for row in range(ROWS)]
    await log(system, 1, answer, ANSWERED)
    await log(system, 2, early, SHADOWED, shadow_of=pa.array(reached))
    await system.settle()
    await tell(system, answer, FIRST)
    await system.settle()
    await log(system, 2, late, SHADOWED, shadow_of=pa.array(reached))
    await system.settle()
    bounds = await system.log.bounds(["muniment.joined"])
    events = [decode(one) for place, end in bounds.items() for one in await system.log.read(place, 0, end.end)]
    joined = {one.data.batches: one.data for one in events if isinstance(one.data, OutcomesJoined)}
    told = joined[(answer,)].outcome_event
    assert told
    assert (joined[(early,)].outcome_event, joined[(early,)].answered) == (told, ())
    assert (joined[(late,)].outcome_event, joined[(late,)].answered) == ("", (answer,))


async def test_a_shadow_is_compared_with_its_champion(system: System) -> None:
    answer = new_id()
    await log(system, 1, answer, ANSWERED)
    reached = [batches.prediction_id(answer, row) for row in range(ROWS)]
    await log(system, 2, new_id(), FIRST, shadow_of=pa.array(reached))
    await tell(system, answer, FIRST)
    await system.settle()
    (item,) = (await get(system, "/v1/deployments/loans/experiments"))["items"]
    assert (item["champion"]["cases"], item["others"][0]["cases"], item["others"][0]["mean"]) == (ROWS, ROWS, 0.0)
