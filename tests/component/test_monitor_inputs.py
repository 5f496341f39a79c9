"""Drift, integrity and silence through the API, over the adapters in memory."""

from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.monitor.service import DEFINITION
from shared.events.codec import decode
from shared.events.monitor import DeploymentHeard, DeploymentSilent, DriftDetected, IntegrityBreached, WindowMeasured
from shared.log.tables import Query
from shared.runtime.rebuilding import rebuild
from tests.component.monitor_story import AT, DAY, arrow, body, monitoring, row, table
from tests.support import System

DRIFT = "/v1/deployments/late/drift"


async def send(system: System, rows: int = 300, at: Any = AT, version: int = 1, seed: int = 0, **columns: Any) -> None:
    answer = await system.client.post("/v1/predictions", **arrow(table(rows, at, seed, **columns), version))
    assert answer.status_code == 202, answer.text


async def stated(system: System, kind: type) -> list[Any]:
    bounds = await system.log.bounds(["muniment.monitor"])
    found = [decode(record) for place, one in bounds.items() for record in await system.log.read(place, 0, one.end)]
    return [event.data for event in found if isinstance(event.data, kind)]


async def drift(system: System, **params: Any) -> dict[str, Any]:
    answer = await system.client.get(DRIFT, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_all_statistics_are_answered_with_how_exact_they_are() -> None:
    async with monitoring() as system:
        await send(system, feature__wind=pa.array(np.linspace(10, 30, 300)), feature__carrier=pa.array(["ZZ"] * 300))
        await system.settle()
        told = await drift(system)
        items = {item["feature"]: item for item in told["items"]}
        assert (told["against"], told["rows"], told["base_rows"]) == ("reference", 300, 960)
        wind, carrier, hour = items["wind"], items["carrier"], items["hour"]
        assert wind["ks"] == pytest.approx(0.5, abs=0.01)
        assert wind["wasserstein"] == pytest.approx(10, abs=wind["wasserstein_error"] + 0.01)
        assert wind["wasserstein_normed"] == pytest.approx(10 / np.linspace(0, 20, 960).std(), rel=0.02)
        assert (wind["drifted"], wind["reached_by"], hour["drifted"]) == (True, "psi", False)
        assert (hour["ks_error"], hour["wasserstein_error"]) == (0.0, 0.0)
        assert (carrier["new"], carrier["new_values"], carrier["ks"]) == (1.0, [{"value": "ZZ", "rows": 300}], None)
        assert carrier["jensen_shannon"] == 1.0
        assert told["multivariate"]["drifted"]
        assert told["multivariate"]["told_by"]


async def test_columns_are_profiled_over_windows_and_groups_tell_how_drift_was_counted() -> None:
    wind, probability = np.linspace(10, 30, 300), np.linspace(0, 1, 300)
    async with monitoring() as system:
        for day in range(2):
            columns = {"feature__wind": pa.array(wind + day), "output__probability": pa.array(probability)}
            await send(system, at=AT + day * DAY, feature__carrier=pa.array(["AA", "ZZ", "ZZ"] * 100), **columns)
        await system.settle()
        answer = await system.client.get("/v1/deployments/late/profile", params={"top": 1})
        assert answer.status_code == 200, answer.text
        told = {item["column"]: item for item in answer.json()["items"]}
        values = np.concatenate([wind, wind + 1])
        assert (told["wind"]["rows"], told["wind"]["least"], told["wind"]["most"]) == (600, 10, 31)
        assert told["wind"]["mean"] == pytest.approx(values.mean(), rel=1e-9)
        for one in told["wind"]["quantiles"]:
            assert one["low"] <= np.quantile(values, one["share"], method="lower") <= one["high"]
        assert told["output.probability"]["kind"] == "numeric"
        assert told["carrier"]["frequent"] == [{"value": "ZZ", "rows": 400, "exact": True}]
        (item,) = [one for one in (await drift(system, groups=True))["items"] if one["feature"] == "carrier"]
        assert [one["rows"] for one in item["groups"] if one["rest"] == "new"] == [400]
        assert sum(one["base_rows"] for one in item["groups"]) == 960
        assert "groups" not in (await drift(system))["items"][0]


async def test_an_optional_input_may_lack_in_a_row_that_comes_alone() -> None:
    async with monitoring() as system:
        for rest in ({}, {"wind": None, "holiday": None}, {"wind": 3.5, "holiday": True}):
            sent = body(row(features={"hour": 5, "carrier": "AA", **rest}))
            assert (await system.client.post("/v1/predictions", json=sent)).status_code == 202
        await system.settle()
        told = (await system.client.get("/v1/deployments/late/integrity")).json()["items"]
        assert [one for one in told if one["check"] == "schema"] == []
        items = (await system.client.get("/v1/deployments/late/profile")).json()["items"]
        kinds = {one["column"]: (one["kind"], one["rows"] - one["missing"]) for one in items}
        assert (kinds["wind"], kinds["holiday"]) == (("numeric", 1), ("categorical", 1))


async def test_the_champion_is_a_base_and_outputs_are_compared_with_it() -> None:
    async with monitoring() as system:
        await send(system, output__probability=pa.array(np.linspace(0, 0.5, 300)))
        await send(system, version=2, seed=1, output__probability=pa.array(np.linspace(0.5, 1, 300)))
        await system.settle()
        told = await drift(system, version=2, against="champion")
        items = {item["feature"]: item["drifted"] for item in told["items"]}
        assert items == {"output.probability": True, "carrier": False, "hour": False, "wind": False}
        assert (told["version"], told["rows"], told["base_rows"]) == (2, 300, 300)


async def test_a_past_window_is_a_base() -> None:
    async with monitoring() as system:
        await send(system, feature__wind=pa.array(np.linspace(15, 20, 300)))
        await send(system, at=AT + DAY, seed=1, feature__wind=pa.array(np.linspace(15, 20, 300)))
        await system.settle()
        span = {"from": "2013-04-02T00:00:00Z"}
        wind = [item for item in (await drift(system, **span))["items"] if item["feature"] == "wind"]
        assert wind[0]["drifted"]
        told = await drift(system, **span, against="window:2013-04-01T00:00:00Z")
        assert {item["feature"]: item["drifted"] for item in told["items"] if item["feature"] == "wind"} == {
            "wind": False
        }


@pytest.mark.parametrize(
    ("against", "version", "status", "code"),
    [
        ("champion", 1, 422, "champion-against-itself"),
        ("yesterday", 1, 422, "unknown-base"),
        ("window:soon", 1, 422, "not-a-time"),
        ("window:2013-04-01T00:00:00", 1, 422, "time-without-zone"),
        ("window:2012-04-01T00:00:00Z", 1, 404, "unknown-window"),
        ("window:9999-12-31T23:59:59.999999Z", 1, 404, "unknown-window"),
        ("champion", 2, 200, None),
        ("reference", 9, 200, None),
    ],
)
async def test_a_base_that_is_none_is_told(against: str, version: int, status: int, code: str | None) -> None:
    async with monitoring() as system:
        await send(system)
        await system.settle()
        answer = await system.client.get(DRIFT, params={"against": against, "version": version})
        assert answer.status_code == status, answer.text
        if code is None:
            assert answer.json()["items"] == []
        else:
            assert answer.json()["type"] == f"urn:muniment:problem:{code}"


async def test_a_closed_window_states_drift_of_all_together_and_what_its_data_lack() -> None:
    async with monitoring() as system:
        gone = pa.array([None, 1.0, 2.0] * 100 + np.linspace(0, 20, 300).tolist(), pa.float64())[150:450]
        await send(system, feature__wind=gone, feature__hour=pa.array(np.full(300, 7)))
        await send(system, at=AT + 2 * DAY, seed=1)
        await system.settle()
        (measured, *_) = await stated(system, WindowMeasured)
        assert measured.multivariate is not None
        assert {one.feature for one in await stated(system, DriftDetected)} >= {"*", "hour"}
        broken = {(one.check, one.subject): one for one in await stated(system, IntegrityBreached)}
        assert set(broken) == {("missing", "wind"), ("constant", "hour")}
        assert broken["missing", "wind"].value == pytest.approx(1 / 6, abs=0.01)
        window = (await system.client.get("/v1/deployments/late/windows")).json()["items"][0]
        assert {one["check"] for one in window["integrity"] if one["breached"]} == {"missing", "constant"}
        assert window["multivariate"]["auc"] == measured.multivariate.auc
        told = (await system.client.get("/v1/deployments/late/integrity")).json()
        assert ("missing", "wind") in {(one["check"], one["subject"]) for one in told["items"]}
        assert (told["rows"], told["silent_since"]) == (600, None)


async def test_traffic_out_of_the_ordinary_is_stated() -> None:
    async with monitoring(window_seconds=3_600, window_lateness_seconds=0) as system:
        for day in range(4):
            await send(system, 100, AT + day * DAY, seed=day)
        await send(system, 400, AT + 4 * DAY, seed=4)
        await send(system, 100, AT + 4 * DAY + timedelta(hours=3), seed=5)
        await system.settle()
        (one,) = [one for one in await stated(system, IntegrityBreached) if one.check == "traffic"]
        assert (one.value, one.threshold, one.window_start) == (4.0, 3.0, AT + 4 * DAY)


async def test_silence_is_stated_by_the_clock_and_ends_with_a_prediction() -> None:
    async with monitoring(silence_seconds=0.0) as system:
        await send(system, 10)
        await system.settle()
        (silent,) = await stated(system, DeploymentSilent)
        assert (silent.deployment, silent.version) == ("late", 1)
        told = (await system.client.get("/v1/deployments/late/integrity")).json()
        assert told["silent_since"] is not None
        await send(system, 10, seed=1)
        await system.settle()
        (heard,) = await stated(system, DeploymentHeard)
        assert heard.silent_since == silent.last_heard < heard.heard


async def test_a_deployment_that_is_called_is_not_silent() -> None:
    async with monitoring() as system:
        await send(system, 10)
        await system.settle()
        assert await stated(system, DeploymentSilent) == []


async def test_views_that_are_rebuilt_hold_the_same_windows() -> None:
    async with monitoring() as system:
        await send(system)
        await send(system, at=AT + 2 * DAY, seed=1)
        await system.settle()
        store = system.stores["monitor"]
        before = await store.find(Query("window_states"))
        told = (await system.client.get("/v1/deployments/late/windows")).json()
        names = await rebuild(DEFINITION, system.services["monitor"])
        assert "monitor.predictions" in names
        assert await store.find(Query("window_states")) == []
        for name in names:  # as workers that start again
            for place in await system.log.bounds(system.consumer(name).topics):
                system.consumer(name).forget(place)
        await system.settle()
        assert [row["state"] for row in await store.find(Query("window_states"))] == [row["state"] for row in before]
        assert (await system.client.get("/v1/deployments/late/windows")).json() == told


@pytest.mark.parametrize("path", ["drift", "integrity"])
async def test_an_unknown_deployment_is_404(path: str) -> None:
    async with monitoring() as system:
        assert (await system.client.get(f"/v1/deployments/lat/{path}")).status_code == 404
