"""Act three: the expert flags, a challenger comes, wins and, once an objection is answered, is promoted."""

from datetime import UTC, datetime, timedelta

import numpy as np

from muniment.demo.story import cast, opening, waiting
from muniment.demo.story.objection import object_to
from muniment.demo.story.scene import Flagged, Scene, text

_DAY = timedelta(days=1)


def morning(scene: Scene, day: datetime) -> None:
    """What happens before the first flight of a day is scored."""
    if day == scene.schedule.challenge:
        challenge(scene, day)
    if day == scene.schedule.promote:
        promote(scene, day)
    for reviewed in scene.schedule.reviews:
        if day == reviewed + 3 * _DAY:  # by then every flight of the day has landed
            review(scene, reviewed)


def noon(scene: Scene, day: datetime) -> None:
    """Between the day's predictions and the truth about them: what is known now is what was known that day."""
    if day == scene.schedule.reviews[0]:
        waiting.until_in_ledger(scene, str(scene.played.ids[_rows_of(scene, day)[0]]))
        scene.known_then = datetime.now(UTC)


def review(scene: Scene, reviewed: datetime) -> None:
    """The expert flags the worst miss of a day and its most needless warning; the first is followed up."""
    rows = _rows_of(scene, reviewed)
    flights, scores = scene.flights.iloc[rows], scene.played.scores[rows]
    warned = scores >= scene.trained.threshold
    delay = flights["arrival_delay"].to_numpy()
    arrived, late = flights["arrived"].to_numpy(), flights["late"].to_numpy()
    missed = np.where(~warned & late, delay, -np.inf)
    needless = np.where(warned & arrived & ~late, scores, -np.inf)
    at = reviewed + 3 * _DAY - timedelta(hours=1)
    if np.isfinite(missed.max()):
        flag(scene, int(rows[int(missed.argmax())]), True, at)
    if np.isfinite(needless.max()):
        flag(scene, int(rows[int(needless.argmax())]), False, at)


def flag(scene: Scene, row: int, missed: bool, at: datetime) -> None:
    """One flag; the first of the story is triaged and resolved."""
    flight = scene.flights.iloc[row]
    minutes = f"{abs(flight['arrival_delay']):.0f} minutes"
    comment = (
        f"{flight['entity']} to {flight['dest']} landed {minutes} late and we warned nobody."
        if missed
        else f"We warned the passengers of {flight['entity']} to {flight['dest']}, which landed "
        f"{minutes} {'late, not enough to miss a connection' if flight['arrival_delay'] > 0 else 'early'}."
    )
    body = {
        "prediction_id": scene.played.ids[row],
        "category": "missed" if missed else "false_alarm",
        "severity": "high" if missed else "low",
        "expected": 1.0 if missed else 0.0,
        "comment": comment,
        "at": text(at),
    }
    answer = scene.acting_as(cast.EXPERT).post("/v1/flags", body)
    scene.flags.append(Flagged(row, missed, answer["id"]))
    scene.flag_writes.append(answer["event_id"])
    scene.say(f"{cast.EXPERT} flags: {comment}")
    if len(scene.flags) == 1:
        follow_up(scene, answer["id"], answer["event_id"], at)


def follow_up(scene: Scene, flag_id: str, after: str, at: datetime) -> None:
    """Triage and resolution of one flag."""
    triage = {"assignee": cast.SCIENTIST, "severity": "high", "comment": "Storm delays look alike to this model."}
    path = f"/v1/flags/{flag_id}"
    operator, scientist = scene.acting_as(cast.OPERATOR), scene.acting_as(cast.SCIENTIST)
    done = operator.post(f"{path}/triage", triage | {"at": text(at + timedelta(hours=2))}, after=after)
    resolution = {"resolution": "model_defect", "comment": "A linear score cannot see it; version 2 uses trees."}
    said = scientist.post(
        f"{path}/resolve", resolution | {"at": text(at + timedelta(hours=20))}, after=done["event_id"]
    )
    scene.flag_writes.append(said["event_id"])


def challenge(scene: Scene, day: datetime) -> None:
    """Version 2 passes the same gate and gets a share of the traffic."""
    parents, boosted = [1], scene.trained.boosted
    opening.register_version(scene, boosted, text(day - timedelta(hours=30)), parents)
    opening.give_evidence(scene, 2, boosted, text(day - timedelta(hours=29)))
    comment = "Approved for a trial beside version 1."
    opening.approve(scene, 2, cast.RISK_MANAGER, text(day - timedelta(hours=8)), comment)
    percent = scene.schedule.challenger_percent
    traffic = {
        "champion": 1,
        "challengers": [{"version": 2, "percent": percent}],
        "sticky_by": "entity",
        "reason": "Trial: trees against the linear score.",
        "at": text(day),
    }
    operator = scene.acting_as(cast.OPERATOR)
    answer = operator.put(f"/v1/deployments/{cast.DEPLOYMENT}/traffic", traffic, after=scene.last_write)
    scene.last_write = answer["event_id"]
    scene.say(f"Version 2, gradient boosting, challenges with {percent:.0f} % of the flights")


def promote(scene: Scene, day: datetime) -> None:
    """The experiment names a winner by cost, and the winner becomes champion."""
    path = f"/v1/deployments/{cast.DEPLOYMENT}/experiments"
    since = {"from": text(scene.schedule.challenge), "kpi": cast.KPI}
    waiting.until_measured(scene)
    told = scene.client.get(path, **since)["items"][0]
    trial = next(arm for arm in told["others"] if arm["version"] == 2)
    reason = f"USD {trial['mean']:.2f} per flight in the trial, {-trial['difference']:.2f} less than version 1."
    body = {"version": 2, "reason": reason, "at": text(day)}
    object_to(scene, body, day)
    operator = scene.acting_as(cast.OPERATOR)
    answer = operator.post(f"/v1/deployments/{cast.DEPLOYMENT}/promote", body, after=scene.last_write)
    scene.last_write = answer["event_id"]
    scene.say(f"{cast.OPERATOR} promotes version 2: {reason}")


def _rows_of(scene: Scene, day: datetime) -> np.ndarray:
    scored = scene.flights["at"]
    return np.flatnonzero(((scored >= day) & (scored < day + _DAY)).to_numpy())
