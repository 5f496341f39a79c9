"""How well the versions did, as the monitor tells it beside what the raw data and the served scores say: quality, money
against doing nothing, and what is known of the year: delays rise in summer and in December, and with them the cost."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
from sklearn.metrics import brier_score_loss, roc_auc_score

from muniment.demo.frames import Frame
from muniment.demo.story import cast
from muniment.demo.story.scene import Scene, text
from muniment.demo.train import FALSE_ALARM, MISSED

KNOWN = {"04": 19, "05": 15, "06": 23, "07": 23, "08": 16, "09": 9, "10": 10, "11": 10, "12": 21}
"""Per cent of the flights that arrived late, by month of departure in New York. Months here are UTC's, hours apart."""

WITHIN = 0.6
"""Points of per cent: what rounding and the hours between the two kinds of months may make."""

SUMMER, DECEMBER, AUTUMN = ["06", "07"], "12", ("09", "10", "11", "12")
PATH = f"/v1/deployments/{cast.DEPLOYMENT}"


def compare(scene: Scene, frame: Frame) -> None:
    """Quality and money of each version, and the year's known facts."""
    for version in sorted(set(frame["version"])):
        own = frame[(frame["version"] == version) & frame["arrived"]]
        _compare_quality(scene, version, own)
        _compare_money(scene, version, own)
    _compare_fairness(scene, frame[frame["version"] == 1])
    shares = {month: _month(scene, month) for month in sorted(set(frame["month"]))}
    arrived = frame[frame["arrived"]]
    expected = {month: round(100 * float(part["late"].mean()), 4) for month, part in arrived.groupby("month")}
    scene.check(
        "Months whose share of late flights adds up", _alike(shares, expected), len(expected), f"{PATH}/quality"
    )
    if len([month for month in shares if month[5:] in KNOWN]) == len(KNOWN):
        _compare_year(scene, shares)


def _compare_quality(scene: Scene, version: int, own: Frame) -> None:
    (told,) = scene.client.get(f"{PATH}/quality", version=version)["items"]
    path = f"{PATH}/quality?version={version}"
    late, score = own["late"].to_numpy(), own["score"].to_numpy()
    scene.check(f"Outcomes that are no answer, version {version}", told["invalid"], 0, path)
    exact = float(roc_auc_score(late, score))
    near = abs(told["quality"]["auc"] - exact) <= told["bounds"]["auc"] + 1e-9
    scene.check(f"AUC of version {version} is scikit-learn's within its bound", near, True, path)
    same = bool(np.isclose(told["quality"]["brier"], brier_score_loss(late, score), rtol=1e-8))
    scene.check(f"Brier score of version {version} is scikit-learn's", same, True, path)
    low, high = (round(end, 4) for end in told["intervals"]["auc"])
    scene.show(f"AUC of version {version}, with its 95 % interval", f"{exact:.4f} ({low} to {high})", path)
    groups = {one["group"]: one["cases"] for one in told["segments"] if one["attribute"] == "segment"}
    expected = {str(name): int(count) for name, count in own["origin"].value_counts().items()}
    scene.check(f"Flights by origin, version {version}", groups, expected, path)


def _compare_money(scene: Scene, version: int, own: Frame) -> None:
    items = scene.client.get(f"{PATH}/kpis", version=version)["items"]
    told = next(item for item in items if item["kpi"] == cast.KPI)
    late, path = int(own["late"].sum()), f"{PATH}/kpis?version={version}"
    base = told["baselines"]
    scene.check(f"Cost had nobody been warned, version {version}", base["never"]["total"], MISSED * late, path)
    alarms = FALSE_ALARM * (len(own) - late)
    scene.check(f"Cost had everybody been warned, version {version}", base["always"]["total"], alarms, path)
    scene.show(f"Saved against never warning, version {version}, USD", base["never"]["gained"], path)


def _compare_fairness(scene: Scene, own: Frame) -> None:
    """Are the passengers of every airport warned alike? Rates of warnings by airport of version 1."""
    path = f"{PATH}/fairness?version=1"
    (told,) = scene.client.get(f"{PATH}/fairness", version=1)["items"]
    rates = {group["group"]: round(group["rates"]["selection_rate"]["value"], 6) for group in told["groups"]}
    warned = (own["score"] >= scene.trained.threshold).groupby(own["origin"]).mean()
    expected = {str(at): round(float(rate), 6) for at, rate in warned.items()}
    scene.check("Share of flights warned by airport", rates, expected, path)
    adverse = [one["group"] for one in told["four_fifths"] if one["adverse_impact"]]
    scene.show("Airports whose passengers are warned less than four fifths as often", adverse, path)


def _compare_year(scene: Scene, shares: dict[str, float]) -> None:
    off = {month: round(share - KNOWN[month[5:]], 2) for month, share in shares.items() if month[5:] in KNOWN}
    far = {month: value for month, value in off.items() if abs(value) > WITHIN}
    scene.check("Months whose share of late flights is not what is known of 2013", far, {}, f"{PATH}/quality")
    scene.show("Late flights by month, per cent", [round(share, 1) for share in shares.values()], f"{PATH}/quality")
    costs = {month: _per_flight(scene, month) for month in shares if month[5:] in KNOWN}
    ranked = [month[5:] for month in sorted(costs, key=lambda month: -costs[month])]
    scene.check("Months that cost most per flight", sorted(ranked[: len(SUMMER)]), SUMMER, f"{PATH}/kpis")
    dearest = next(month for month in ranked if month in AUTUMN)
    scene.check("Month that cost most per flight since summer", dearest, DECEMBER, f"{PATH}/kpis")


def _month(scene: Scene, month: str) -> float:
    """Per cent of late flights that the monitor counted in a month, of both versions together."""
    items = scene.client.get(f"{PATH}/quality", **_span(month))["items"]
    late = sum(
        item["quality"]["true_positives"] + item["quality"]["false_negatives"] for item in items if item["cases"]
    )
    return round(100 * late / sum(item["cases"] for item in items), 4)


def _per_flight(scene: Scene, month: str) -> float:
    items = [one for one in scene.client.get(f"{PATH}/kpis", **_span(month))["items"] if one["kpi"] == cast.KPI]
    return sum(one["total"] for one in items) / sum(one["cases"] for one in items)


def _span(month: str) -> dict[str, Any]:
    start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    return {"from": text(start), "to": text((start + timedelta(days=31)).replace(day=1))}


def _alike(told: dict[str, float], expected: dict[str, float]) -> int:
    return sum(bool(np.isclose(told[month], share, atol=1e-4)) for month, share in expected.items())
