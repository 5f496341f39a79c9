"""The figures of the story, each as a service tells it beside what the raw data and the served scores say."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import NormalDist
from typing import Any

import numpy as np

from muniment.demo.frames import Frame, pd
from muniment.demo.story import cast, judged, waiting
from muniment.demo.story.scene import Scene, text
from muniment.demo.train import FALSE_ALARM, MISSED

VERSIONS = (1, 2)


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums of one version over some time; `cost` in USD."""

    predictions: int
    outcomes: int
    cost: float


def compare(scene: Scene) -> None:
    """Every figure against the raw data."""
    waiting.until_measured(scene)
    windows = {version: list(scene.client.pages(_windows_path(), version=version)) for version in VERSIONS}
    scene.measured["windows"] = windows
    frame = by_flight(scene)
    scene.check("Flights", int((scene.played.versions > 0).sum()), len(scene.flights), _windows_path())
    for version in VERSIONS:
        _compare_version(scene, version, windows[version], frame[frame["version"] == version])
    _compare_months(scene, windows, frame)
    judged.compare(scene, frame)
    _compare_experiment(scene, frame)
    _compare_flags(scene)


def by_flight(scene: Scene) -> Frame:
    """Per flight what follows from the served score and the raw arrival delay: version, month (UTC) and cost."""
    flights, played = scene.flights, scene.played
    arrived, late = flights["arrived"].to_numpy(), flights["late"].to_numpy()
    warned = played.scores >= scene.trained.threshold
    cost = np.where(~warned & late, MISSED, 0.0) + np.where(warned & ~late & arrived, FALSE_ALARM, 0.0)
    return pd.DataFrame(
        {
            "at": flights["at"].to_numpy(),
            "month": flights["at"].dt.strftime("%Y-%m").to_numpy(),
            "version": played.versions,
            "arrived": arrived,
            "late": late,
            "cost": cost,
            "score": played.scores,
            "origin": flights["origin"].to_numpy(),
        }
    )


def _compare_version(scene: Scene, version: int, windows: list[dict[str, Any]], frame: Frame) -> None:
    told, path = _totals(windows), f"{_windows_path()}?version={version}"
    outcomes = int(frame["arrived"].sum())
    scene.check(f"Predictions of version {version}", told.predictions, len(frame), path)
    scene.check(f"Outcomes of version {version}", told.outcomes, outcomes, path)
    missing = told.predictions - told.outcomes
    scene.check(f"Outcomes that never came, version {version}", missing, len(frame) - outcomes, path)
    scene.check(f"Cost of version {version} in USD", told.cost, float(frame["cost"].sum()), path)


def _compare_months(scene: Scene, windows: dict[int, list[dict[str, Any]]], frame: Frame) -> None:
    months: dict[str, dict[int, Totals]] = {}
    for version, month in ((v, m) for v in VERSIONS for m in sorted(set(frame["month"]))):
        own = [window for window in windows[version] if window["window_start"].startswith(month)]
        told = _totals(own)
        raw = frame[(frame["version"] == version) & (frame["month"] == month)]
        expected = Totals(len(raw), int(raw["arrived"].sum()), float(raw["cost"].sum()))
        months.setdefault(month, {})[version] = told
        path = f"{_windows_path()}?version={version}&from={month}-01T00:00:00Z"
        if told != expected:
            scene.check(f"{month}, version {version}", told, expected, path)
    scene.measured["months"] = months
    scene.measured["late"] = {
        str(month): float(part["late"].sum() / part["arrived"].sum()) for month, part in frame.groupby("month")
    }
    scene.measured["drift"] = {month: _drift(scene, month, both) for month, both in months.items()}
    scene.check("Months that add up, of both versions", _agreeing(months, frame), len(months), _windows_path())


def _drift(scene: Scene, month: str, both: dict[int, Totals]) -> list[dict[str, Any]]:
    """Per feature its PSI over the month, as the version with the most flights saw it."""
    start = datetime.fromisoformat(f"{month}-01T00:00:00+00:00")
    following = (start + timedelta(days=31)).replace(day=1)
    version = max(both, key=lambda number: both[number].predictions)
    path = f"/v1/deployments/{cast.DEPLOYMENT}/drift"
    query: dict[str, Any] = {"version": version, "from": text(start), "to": text(following)}
    return scene.client.get(path, **query)["items"]


def _agreeing(months: dict[str, dict[int, Totals]], frame: Frame) -> int:
    cost = frame.groupby("month")["cost"].sum()
    return sum(sum(one.cost for one in both.values()) == cost[month] for month, both in months.items())


def _compare_experiment(scene: Scene, frame: Frame) -> None:
    start, end = scene.schedule.challenge, scene.schedule.promote
    trial = frame[(frame["at"] >= start) & (frame["at"] < end) & frame["arrived"]]
    path = f"/v1/deployments/{cast.DEPLOYMENT}/experiments?from={text(start)}&to={text(end)}"
    told = experiment(scene, start, end)
    for arm in (told["champion"], *told["others"]):
        own = trial[trial["version"] == arm["version"]]["cost"]
        figure, expected = (arm["cases"], round(arm["mean"], 6)), (len(own), round(float(own.mean()), 6))
        scene.check(f"Trial, version {arm['version']}: flights, USD per flight", figure, expected, path)
    scene.check("Winner of the trial by cost", told["winner"], _winner(trial), path)


def _winner(trial: Frame) -> int | None:
    """The cheaper version where a two-sided test at 5 % tells them apart (Welch, normal form); else None."""
    arms = trial.groupby("version")["cost"].agg(["mean", "var", "count"])
    error = float((arms["var"] / arms["count"]).sum()) ** 0.5
    difference = float(arms.loc[2, "mean"] - arms.loc[1, "mean"])
    if abs(difference) < NormalDist().inv_cdf(0.975) * error:
        return None
    return 2 if difference < 0 else 1


def experiment(scene: Scene, start: datetime, end: datetime) -> dict[str, Any]:
    """The comparison of the versions on the cost of a flight, as the monitor tells it."""
    path = f"/v1/deployments/{cast.DEPLOYMENT}/experiments"
    answer = scene.client.get(path, kpi=cast.KPI, **{"from": text(start), "to": text(end)})
    return answer["items"][0]


def _compare_flags(scene: Scene) -> None:
    waiting.until_flags_placed(scene)
    flags = {item["id"]: item for item in scene.client.pages("/v1/flags", deployment=cast.DEPLOYMENT)}
    raised = len(scene.flags) + (scene.objection is not None)
    scene.check("Flags", len(flags), raised, f"/v1/flags?deployment={cast.DEPLOYMENT}")
    for flagged in scene.flags:
        item = flags.get(flagged.flag, {})
        version = int(scene.played.versions[flagged.row])
        if item.get("version") != version:
            scene.check(f"Version of flag {flagged.flag}", item.get("version"), version, f"/v1/flags/{flagged.flag}")
    first = scene.flags[0].flag
    scene.check("First flag", flags.get(first, {}).get("state"), "resolved", f"/v1/flags/{first}")


def _totals(windows: list[dict[str, Any]]) -> Totals:
    costs = [kpi["total"] for window in windows for kpi in window["kpis"] if kpi["kpi"] == cast.KPI]
    return Totals(
        sum(window["predictions"] for window in windows),
        sum(window["outcomes"] for window in windows),
        float(sum(costs)),
    )


def _windows_path() -> str:
    return f"/v1/deployments/{cast.DEPLOYMENT}/windows"
