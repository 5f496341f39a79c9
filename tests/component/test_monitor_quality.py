"""Quality, money and fairness through the API, over the adapters in memory."""

from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from fairlearn import metrics as fair
from sklearn import metrics

from services.monitor.domain.words import amount
from shared.events import batches
from shared.events.codec import decode
from shared.events.monitor import WindowMeasured
from shared.log.tables import Insert
from tests.component.judged_story import get, judging, predict, tell
from tests.component.monitor_story import AT, DAY
from tests.support import System


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with judging(window_lateness_seconds=0) as system:
        yield system


def loans(seed: int, rows: int = 600) -> tuple[dict[str, Any], np.ndarray]:
    """Columns of predictions, and what came true."""
    rng = np.random.default_rng(seed)
    score = rng.beta(2, 4, rows)
    columns = {
        "segment": rng.choice(["JFK", "LGA", "EWR"], rows),
        "feature__age": rng.uniform(18, 90, rows),
        "feature__sex": rng.choice(["f", "m"], rows),
        "output__chance": score,
    }
    return columns, (rng.random(rows) < score).astype(float)


def spent(score: np.ndarray, truth: np.ndarray, threshold: float = 0.3) -> float:
    called, late = score >= threshold, truth == 1
    return float(60 * (called & ~late).sum() + 300 * (~called & late).sum())


async def test_quality_is_told_as_a_whole_and_by_group(system: System) -> None:
    columns, truth = loans(1)
    await tell(system, await predict(system, "loans", **columns), truth)
    await system.settle()
    (item,) = (await get(system, "/v1/deployments/loans/quality"))["items"]
    score = columns["output__chance"]
    assert (item["task"], item["output"], item["cases"], item["invalid"]) == ("binary", "chance", 600, 0)
    off = abs(item["quality"]["auc"] - metrics.roc_auc_score(truth, score))
    assert off <= item["bounds"]["auc"]
    assert item["quality"]["recall"] == pytest.approx(metrics.recall_score(truth, score >= 0.3))
    low, high = item["intervals"]["recall"]
    assert low < item["quality"]["recall"] < high
    assert item["estimated"] is None
    shown = {(one["attribute"], one["group"]): one for one in item["segments"]}
    assert {attribute for attribute, _ in shown} == {"segment", "sex", "age"}
    for name in ("JFK", "LGA", "EWR"):
        rows = columns["segment"] == name
        part = shown["segment", name]
        assert (part["cases"], part["predictions"]) == (rows.sum(), rows.sum())
        assert part["quality"]["accuracy"] == pytest.approx(((score >= 0.3) == truth)[rows].mean())
        assert part["kpis"][0]["total"] == spent(score[rows], truth[rows])
    old = columns["feature__age"] >= 60
    assert shown["age", ">=60"]["quality"]["base_rate"] == pytest.approx(truth[old].mean())
    alone = (await get(system, "/v1/deployments/loans/quality", attribute="sex"))["items"][0]["segments"]
    assert [one["group"] for one in alone] == ["f", "m"]


async def test_an_outcome_that_is_no_answer_is_shown_and_changes_no_figure(system: System) -> None:
    columns, truth = loans(2)
    batch = await predict(system, "loans", **columns)
    await tell(system, batch, truth[:500])
    await system.settle()
    path = "/v1/deployments/loans/windows"
    before = (await get(system, path))["items"][0]
    await tell(system, batch, [0.5, 7.0], first=500)
    await system.settle()
    after = (await get(system, path))["items"][0]
    assert (before["invalid"], after["invalid"], after["outcomes"]) == (0, 2, 502)
    assert after["task"] == "binary"
    assert after["quality"] == before["quality"]
    assert after["kpis"] == before["kpis"]
    await tell(system, batch, [1.0, 0.0], first=500)  # corrected
    await system.settle()
    assert (await get(system, path))["items"][0]["invalid"] == 0


async def test_before_outcomes_come_there_is_an_estimate(system: System) -> None:
    columns, truth = loans(3, 4_000)
    await tell(system, await predict(system, "loans", **columns), truth)
    await system.settle()
    later, known_later = loans(4, 4_000)
    later["at"] = pa.array([AT + DAY] * 4_000, batches.TIMESTAMP)
    await predict(system, "loans", **later)
    await system.settle()
    span = {"from": (AT + DAY).replace(hour=0).isoformat()}
    (item,) = (await get(system, "/v1/deployments/loans/quality", **span))["items"]
    assert (item["cases"], item["quality"]) == (0, {"calibration": []})
    estimate = item["estimated"]
    assert (estimate["estimated"], estimate["calibrated_on"], estimate["predictions"]) == (True, 4_000, 4_000)
    first, second = (await get(system, "/v1/deployments/loans/windows"))["items"]
    assert (first["estimated"], second["estimated"]) == (None, estimate)
    score = later["output__chance"]
    assert estimate["quality"]["auc"] == pytest.approx(metrics.roc_auc_score(known_later, score), abs=0.03)
    assert estimate["quality"]["recall"] == pytest.approx(metrics.recall_score(known_later, score >= 0.3), abs=0.05)


async def a_day(system: System, number: int, told: str, flat: bool = False) -> tuple[str, np.ndarray]:
    """A day of 1,000 loans; `told`: outcomes as they came true, the opposite, or none. `flat`: scores near one half."""
    columns, truth = loans(number, 1_000)
    columns["at"] = pa.array([AT + number * DAY] * 1_000, batches.TIMESTAMP)
    if flat:
        columns["output__chance"] = 0.45 + 0.1 * columns["output__chance"]
    batch = await predict(system, "loans", **columns)
    if told != "none":
        await tell(system, batch, truth if told == "true" else 1 - truth)
    await system.settle()
    return batch, truth


async def open_alerts(system: System) -> dict[str, Any]:
    return {one["kind"]: one for one in (await get(system, "/v1/alerts", open="true"))["items"]}


async def test_quality_that_is_expected_to_fall_is_an_alert_marked_as_an_estimate(system: System) -> None:
    for number in range(3):
        await a_day(system, number, "true")
    late = [await a_day(system, number, "none", flat=True) for number in (3, 4)]
    await a_day(system, 5, "none", flat=True)  # closes the day before
    found = await open_alerts(system)
    assert "quality" not in found
    (auc,) = [one for one in found["estimated_quality"]["findings"] if one["name"] == "auc"]
    assert (auc["statistic"], auc["estimated"]) == ("past", True)
    assert auc["value"] < auc["threshold"] < auc["base"]
    for batch, truth in late:  # the order of the scores was as good as ever, but nothing else
        await tell(system, batch, truth)
    await system.settle()
    (off,) = [one for one in (await open_alerts(system))["quality"]["findings"] if one["name"] == "ece"]
    assert (off["statistic"], off["estimated"]) == ("past", False)


async def test_late_outcomes_raise_and_corrected_ones_clear_an_alert_of_quality(system: System) -> None:
    for number in range(3):
        await a_day(system, number, "true")
    late = [await a_day(system, number, "none") for number in (3, 4)]
    await a_day(system, 5, "none")
    for batch, truth in late:
        await tell(system, batch, 1 - truth)
    await system.settle()
    raised = (await open_alerts(system))["quality"]
    assert {"auc", "brier", "log_loss"} <= {one["name"] for one in raised["findings"]}
    assert raised["since"].startswith("2013-04-04")
    for batch, truth in late:
        await tell(system, batch, truth)
    await system.settle()
    assert "quality" not in await open_alerts(system)


async def test_an_estimated_quantity_is_judged_in_its_unit_and_money(system: System) -> None:
    rng = np.random.default_rng(5)
    truth = rng.normal(100, 20, 300)
    guess = truth + rng.normal(2, 5, 300)
    await tell(system, await predict(system, "minutes", output__minutes=guess), truth)
    await system.settle()
    (item,) = (await get(system, "/v1/deployments/minutes/quality"))["items"]
    assert (item["task"], item["cases"]) == ("regression", 300)
    assert item["quality"]["mae"] == pytest.approx(metrics.mean_absolute_error(truth, guess), rel=1e-9)
    assert item["quality"]["r2"] == pytest.approx(metrics.r2_score(truth, guess), rel=1e-9)
    assert item["estimated"] is None
    (kpi,) = (await get(system, "/v1/deployments/minutes/kpis"))["items"]
    assert kpi["total"] == pytest.approx(12.5 * np.abs(guess - truth).sum(), rel=1e-9)
    assert kpi["summary"].startswith(f"{amount(kpi['per_case'], 'USD')} a case over 300 cases with an outcome, ")
    assert (kpi["unit"], kpi["cases"], kpi["met"]) == ("USD", 300, kpi["per_case"] <= 40)
    assert "baselines" not in kpi
    assert (await get(system, "/v1/deployments/minutes/fairness"))["items"] == []


async def test_classes_are_judged_by_their_codes(system: System) -> None:
    predicted = ["small", "small", "large", "medium", "huge", "large"]
    await tell(system, await predict(system, "sizes", output__size=predicted), [0, 1, 2, 1, 2, 5])
    await system.settle()
    (item,) = (await get(system, "/v1/deployments/sizes/quality"))["items"]
    assert (item["task"], item["cases"], item["invalid"], item["unscored"]) == ("multiclass", 4, 1, 1)
    assert item["quality"]["accuracy"] == 0.75
    shown = [(one["class"], one["predicted"], one["came_true"]) for one in item["quality"]["classes"]]
    assert shown == [("small", 2, 1), ("medium", 1, 2), ("large", 1, 1)]


async def test_all_that_waited_is_joined_in_one_sweep(system: System) -> None:
    columns, truth = loans(8, 2_500)
    batch = await predict(system, "loans", **columns)
    await system.settle()
    rows = {"prediction_id": [f"{batch}-{row}" for row in range(2_500)], "row": list(range(2_500))}
    same = {"event": "e", "batch": batch, "at": 5, "told": 6}
    rows |= {name: [value] * 2_500 for name, value in same.items()} | {"value": truth.tolist()}
    store = system.stores["monitor"]
    async with store.begin() as unit:
        await unit.apply([Insert("pending_outcomes", rows)])
    part = system.parts["monitor"]
    (sweep,) = [one for one in part.periodic if one.name == "monitor.sweep"]
    await sweep.job()
    assert not store.committed.rows["pending_outcomes"]
    (item,) = (await get(system, "/v1/deployments/loans/quality"))["items"]
    assert (item["outcomes"], item["quality"]["base_rate"]) == (2_500, pytest.approx(truth.mean()))


async def test_money_is_told_beside_doing_nothing_and_beside_the_champion(system: System) -> None:
    told: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for version in (1, 2):
        columns, truth = loans(version, 500)
        score = columns["output__chance"] if version == 1 else np.where(truth == 1, 0.9, 0.1)
        told[version] = score, truth
        batch = await predict(system, "loans", version, output__chance=score, segment=columns["segment"])
        await tell(system, batch, truth)
    await system.settle()
    champion, challenger = (await get(system, "/v1/deployments/loans/kpis"))["items"]
    score, truth = told[1]
    assert (champion["version"], champion["against_champion"]) == (1, None)
    assert champion["total"] == spent(score, truth)
    assert champion["costs"]["false_negatives"]["total"] == 300 * ((score < 0.3) & (truth == 1)).sum()
    base = champion["baselines"]
    assert base["never"]["total"] == 300 * truth.sum()
    assert base["always"]["total"] == 60 * (truth == 0).sum()
    assert base["never"]["gained"] == base["never"]["total"] - champion["total"]
    assert base["perfect"]["total"] == 0
    assert base["best_threshold"]["total"] == min(spent(score, truth, cell / 1_000) for cell in range(1_002))
    low, high = champion["confidence_interval"]
    assert low < champion["per_case"] < high
    assert sum(one["total"] for one in champion["segments"]) == champion["total"]
    against = challenger["against_champion"]
    assert (challenger["total"], challenger["met"]) == (0, True)
    assert against["difference"] == pytest.approx(-champion["per_case"])
    assert against["p_value"] < 0.001
    only = (await get(system, "/v1/deployments/loans/kpis", version=2))["items"]
    assert [one["version"] for one in only] == [2]
    assert only[0]["against_champion"] == against


async def test_fairness_agrees_with_fairlearn(system: System) -> None:
    columns, truth = loans(7, 900)
    batch = await predict(system, "loans", **columns)
    await tell(system, batch, truth)
    await system.settle()
    answer = await get(system, "/v1/deployments/loans/fairness")
    by = {item["attribute"]: item for item in answer["items"]}
    assert (answer["version"], answer["task"], set(by)) == (1, "binary", {"sex", "age", "origin"})
    called = (columns["output__chance"] >= 0.3).astype(int)
    ages = np.array(["<30", "30..<60", ">=60"])[np.searchsorted([30, 60], columns["feature__age"], side="right")]
    for name, groups in (("sex", columns["feature__sex"]), ("age", ages), ("origin", columns["segment"])):
        found = by[name]["disparities"]
        for figure in ("demographic_parity_difference", "equalized_odds_difference", "demographic_parity_ratio"):
            expected = getattr(fair, figure)(truth, called, sensitive_features=groups)
            assert found[figure] == pytest.approx(expected, abs=1e-9), (name, figure)
    sex = by["sex"]
    women = next(one for one in sex["groups"] if one["group"] == "f")
    assert sex["reference"] == "m"
    rows = columns["feature__sex"] == "f"
    rate = women["rates"]["selection_rate"]
    assert (rate["value"], rate["of"]) == (pytest.approx(called[rows].mean()), rows.sum())
    gap = women["against_reference"]["true_positive_rate"]
    assert gap["difference_interval"][0] < gap["difference"] < gap["difference_interval"][1]
    assert sex["four_fifths"][0]["adverse_impact"] is False


async def test_a_group_that_is_selected_far_less_is_flagged(system: System) -> None:
    sex = np.repeat(["f", "m"], 300)
    score = np.where(np.arange(600) % 10 < np.where(sex == "f", 2, 6), 0.9, 0.1)
    await predict(system, "loans", output__chance=score, feature__sex=sex)
    await system.settle()
    path = "/v1/deployments/loans/fairness"
    (flag,) = (await get(system, path))["items"][0]["four_fifths"]
    assert (flag["group"], flag["highest"], flag["adverse_impact"], flag["certain"]) == ("f", "m", True, True)
    assert flag["ratio"] == pytest.approx(1 / 3)
    (spared,) = (await get(system, path, favourable="negative"))["items"][0]["four_fifths"]
    assert (spared["group"], spared["ratio"]) == ("m", 0.5)
    answer = await system.client.get(path, params={"favourable": "maybe"})
    assert answer.status_code == 422


async def test_a_closed_window_states_how_alike_groups_were_treated(system: System) -> None:
    sex = np.repeat(["f", "m"], 300)
    score = np.where(np.arange(600) % 10 < np.where(sex == "f", 2, 6), 0.9, 0.1)
    await predict(system, "loans", output__chance=score, feature__sex=sex)
    await predict(system, "loans", at=pa.array([AT + 3 * DAY], batches.TIMESTAMP), output__chance=[0.5])
    await system.settle()
    (first,) = [one for one in await measured(system) if one.predictions == 600]
    assert [one.attribute for one in first.fairness] == ["sex", "age", "origin"]
    assert first.fairness[0].adverse == ("f",)
    assert first.fairness[0].disparities["demographic_parity_difference"] == pytest.approx(0.4)
    assert (first.fairness[1].adverse, first.fairness[1].disparities) == ((), {})


async def measured(system: System) -> list[WindowMeasured]:
    bounds = await system.log.bounds(["muniment.monitor"])
    events = [decode(one) for place, end in bounds.items() for one in await system.log.read(place, 0, end.end)]
    return [one.data for one in events if isinstance(one.data, WindowMeasured)]


@pytest.mark.parametrize("path", ["quality", "kpis", "fairness"])
async def test_figures_of_an_unknown_deployment_are_404_and_of_nothing_are_empty(system: System, path: str) -> None:
    answer = await system.client.get(f"/v1/deployments/loan/{path}")
    assert (answer.status_code, answer.json()["nearby"]) == (404, ["loans"])
    items = (await get(system, f"/v1/deployments/loans/{path}"))["items"]
    assert all(not item["groups"] for item in items)
    naive = await system.client.get(f"/v1/deployments/loans/{path}?from=2013-04-01T00:00:00")
    assert naive.status_code == 422


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
async def test_late_outcomes_revise_a_window_on_record_to_the_same_figures(order: tuple[int, ...]) -> None:
    columns, truth = loans(9)
    async with judging(3, window_lateness_seconds=0) as system:
        batch = await predict(system, "loans", **columns)
        await system.settle()
        later = {"at": pa.array([AT + 3 * DAY], batches.TIMESTAMP), "output__chance": [0.5]}
        await predict(system, "loans", **later)
        await system.settle()
        for part in order:
            await tell(system, batch, truth[part * 200 : part * 200 + 200], first=part * 200)
            await system.settle()
        said = await measured(system)
    first_day = [one for one in said if one.predictions == 600]
    assert [one.revision for one in first_day] == [0, 1, 2, 3]
    assert [one.cause for one in first_day] == ["closed", *["late_outcomes"] * 3]
    last = first_day[-1]
    assert (last.outcomes, last.task) == (600, "binary")
    score = columns["output__chance"]
    assert last.quality["brier"] == pytest.approx(metrics.brier_score_loss(truth, score), rel=1e-9)
    assert last.kpis[0].total == spent(score, truth)
