"""Whatever came first, a replay of the log in another order gives the monitor's views."""

from datetime import timedelta
from itertools import permutations

import pyarrow as pa

from services.monitor.service import DEFINITION
from shared.events import batches, registry
from shared.log.memory import MemoryStore
from shared.runtime.checking import Outcome, check_views
from shared.runtime.checking.replaying import backwards, facts_first
from shared.runtime.commands import new_id
from tests.component.judged_story import judging, tell
from tests.component.monitor_story import AT, COST, DAY, body, monitoring, row, state
from tests.component.test_monitor_shadows import ANSWERED, FIRST, LATER, ROWS, SHADOWED, log
from tests.support import System

KPI = registry.KpiDefined(kpi="cost", goal="warn", unit="USD", direction="lower", target=20.0, formula=COST)


async def checked(system: System) -> Outcome:
    service = system.services["monitor"]
    outcomes: list[Outcome] = []
    for order in (backwards, sorted, facts_first):
        scratch = MemoryStore("monitor_check", DEFINITION.tables)
        outcome = await check_views(DEFINITION, service, scratch, order)
        assert (outcome.verdict, outcome.first_difference, outcome.reason) == ("equal", None, None)
        assert outcome.live_digest == outcome.replayed_digest
        outcomes.append(outcome)
    assert len({one.replayed_digest for one in outcomes}) == 1
    return outcomes[0]


def rows_of(outcome: Outcome) -> dict[str, int]:
    return {table.name: table.live_rows for table in outcome.tables}


async def test_answers_shadows_and_outcomes_in_any_order() -> None:
    async with judging(3, check_pause_seconds=0.0) as system:
        for order in permutations(["answer", "shadow", "told"]):
            answer, shadow = new_id(), new_id()
            reached = [batches.prediction_id(answer, row) for row in range(ROWS)][::-1]
            for step in order:
                if step == "answer":
                    await log(system, 1, answer, ANSWERED)
                elif step == "shadow":
                    await log(system, 2, shadow, SHADOWED, shadow_of=pa.array(reached))
                else:
                    await tell(system, answer, FIRST)
                await system.settle()
            await tell(system, answer, LATER)
            await system.settle()
        counted = rows_of(await checked(system))
        assert counted["shadow_links"] == 6
        assert counted["window_states"] >= 2


async def test_windows_alerts_and_a_kpi_whose_target_moves() -> None:
    async with monitoring(3, check_pause_seconds=0.0) as system:
        for day in range(6):
            rows = [row(id=f"{day}-{n}", at=(AT + day * DAY + timedelta(minutes=n)).isoformat()) for n in range(30)]
            early = [{"prediction_id": f"{day}-{n}", "value": n % 2} for n in range(0, 30, 3)]
            assert (await system.client.post("/v1/outcomes", json={"outcomes": early})).status_code == 202
            await system.settle()
            assert (await system.client.post("/v1/predictions", json=body(*rows))).status_code == 202
            await system.settle()
            late = [{"prediction_id": f"{day}-{n}", "value": 1} for n in range(30)]
            assert (await system.client.post("/v1/outcomes", json={"outcomes": late})).status_code == 202
            await system.settle()
            if day == 2:
                moved = KPI.model_copy(update={"target": 200.0})
                await state(system, "kpi/cost", [KPI, moved])
                await system.settle()
        counted = rows_of(await checked(system))
        assert counted["measured_windows"] >= 4
        assert counted["alert_windows"]
        assert counted["prediction_ids"] == 180


async def test_own_ids_of_predictions_that_expired() -> None:
    async with monitoring(3, check_pause_seconds=0.0, archive_retention_days=1) as system:
        answer = await system.client.post("/v1/predictions", json=body(row(id="old"), row(id="older")))
        assert answer.status_code == 202
        await system.settle()
        await system.settle()
        store = system.stores["monitor"]
        assert not store.committed.rows["prediction_ids"]
        assert rows_of(await checked(system))["expired"] == 1
