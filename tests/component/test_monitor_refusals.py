"""What intake refuses is counted per deployment, reason and window, and stays on record."""

from collections.abc import AsyncIterator
from typing import Any

import pyarrow as pa
import pytest

from shared.log.store import StoreUnavailable
from shared.runtime.commands import now
from tests.component.monitor_story import AT, DAY, arrow, body, monitoring, row, table
from tests.support import System


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with monitoring() as made:
        yield made


async def written(system: System) -> dict[str, Any]:
    """What `/integrity` says once all that was counted is on record."""
    for close in system.services["monitor"].on_close:
        await close()
    await system.settle()
    return (await system.client.get("/v1/deployments/late/integrity")).json()


async def test_refused_rows_are_counted_by_reason_whatever_their_form(system: System) -> None:
    wrong = row(features={"hour": "five", "carrier": "AA"})
    assert (await system.client.post("/v1/predictions", json=body(row(), wrong, row()))).status_code == 422
    assert (await system.client.post("/v1/predictions", json=body(row(features={"hour": 1})))).status_code == 422
    unknown = table(6, feature__strange=pa.array([1.0] * 6))
    assert (await system.client.post("/v1/predictions", **arrow(unknown))).status_code == 422
    early = row(at=(now() + DAY).isoformat())
    assert (await system.client.post("/v1/predictions", json=body(early))).status_code == 422
    assert (await system.client.post("/v1/predictions", json=body(row()))).status_code == 202
    told = await written(system)
    assert told["refused"] == {"bodies": 4, "rows": 11}
    shares = {one["subject"]: one["value"] for one in told["items"] if one["check"] == "refused"}
    assert shares == pytest.approx(
        {
            "type:feature.hour": 3 / 12,
            "absent:feature.carrier": 1 / 12,
            "unknown:feature.strange": 6 / 12,
            "time-in-future": 1 / 12,
        }
    )
    assert told["rows"] == 1


async def test_refusals_of_one_window_add_up_and_keep_to_the_range(system: System) -> None:
    for _ in range(3):
        await system.client.post("/v1/predictions", json=body(row(features={})))
        told = await written(system)
    assert told["refused"] == {"bodies": 3, "rows": 3}
    before = (await system.client.get(f"/v1/deployments/late/integrity?to={AT:%Y-%m-%dT%H:%M:%SZ}")).json()
    assert before["refused"] == {"bodies": 0, "rows": 0}
    other = (await system.client.get("/v1/deployments/late/integrity?version=2")).json()
    assert other["refused"] == {"bodies": 0, "rows": 0}


async def test_what_says_nothing_of_the_rows_is_not_counted(system: System) -> None:
    torn = arrow(table(3)) | {"content": b"no arrow"}
    assert (await system.client.post("/v1/predictions", **torn)).status_code == 422
    assert (await system.client.post("/v1/predictions", **arrow(table(3), version=9))).status_code == 404
    assert (await system.client.post("/v1/predictions", **arrow(table(10_001)))).status_code == 413
    assert (await written(system))["refused"] == {"bodies": 0, "rows": 0}


async def test_a_store_that_is_away_loses_no_count(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    await system.client.post("/v1/predictions", json=body(row(features={})))
    commands = system.services["monitor"].commands

    async def away(*_: Any) -> None:
        raise StoreUnavailable("away")

    with monkeypatch.context() as patched:
        patched.setattr(type(commands), "handle", away)
        assert (await written(system))["refused"]["rows"] == 0
    assert (await written(system))["refused"]["rows"] == 1
