"""Before the promotion the expert objects: a slice is flagged, the gate closes with the reason, an answer opens it."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np

from muniment.client import ProblemError
from muniment.demo.story import cast, waiting
from muniment.demo.story.scene import Scene, text
from muniment.demo.train import FALSE_ALARM, MISSED

GATE = f"/v1/models/{cast.MODEL}/versions/2/gate"
STAGE = "production"


def object_to(scene: Scene, promotion: dict[str, Any], day: datetime) -> None:
    """The airport where version 2 costs most is flagged; the promotion is refused until that is answered."""
    airport, costs = _dearest(scene, day)
    comment = f"Version 2 cost USD {costs[2]:.2f} per flight from {airport}, more than from any other airport."
    expert, scientist = scene.acting_as(cast.EXPERT), scene.acting_as(cast.SCIENTIST)
    sliced = {"deployment": cast.DEPLOYMENT, "version": 2, "segment": airport}
    body = {"slice": sliced, "category": "costly_airport", "severity": "critical", "comment": comment}
    raised = expert.post("/v1/flags", body | {"at": text(day - timedelta(hours=6))})
    scene.objection, flag = raised["id"], raised["id"]
    scene.say(f"{cast.EXPERT} flags a slice: {comment}")
    closed = waiting.until_gate(scene, GATE, STAGE, allowed=False)
    refused = _refused(scene, promotion, closed["event_id"])
    scene.check("Promotion refused while the slice is flagged", refused, ["no-critical-flags"], f"{GATE}?stage={STAGE}")
    scene.say(f"The gate refuses the promotion of version 2: {', '.join(refused)}, flag {flag}")
    answer = f"Version 1 cost USD {costs[1]:.2f} there in the same weeks: late flights are dearest where most are late."
    better = costs[2] < costs[1]
    said = {"resolution": "works_as_intended" if better else "model_defect", "comment": answer}
    done = scientist.post(
        f"/v1/flags/{flag}/resolve", said | {"at": text(day - timedelta(hours=2))}, after=raised["event_id"]
    )
    scene.flag_writes.append(done["event_id"])
    scene.last_write = waiting.until_gate(scene, GATE, STAGE, allowed=True)["event_id"]
    scene.check("Promotion allowed once the flag is answered", _allowed(scene), True, f"{GATE}?stage={STAGE}")
    scene.say(f"{cast.SCIENTIST} answers: {answer} The gate opens again")


def told_in(report: bytes) -> bool:
    """Whether a report names the flag, its expert, who answered, and the rule that refused for it."""
    words = (cast.EXPERT, cast.SCIENTIST, "costly airport", "no-critical-flags")
    return all(word.encode() in report for word in words)


def _dearest(scene: Scene, day: datetime) -> tuple[str, dict[int, float]]:
    """(the airport where version 2 cost most per flight in the trial, what each version cost per flight from there)."""
    flights, played = scene.flights, scene.played
    trial = (flights["at"] >= scene.schedule.challenge) & (flights["at"] < day - timedelta(days=3)) & flights["arrived"]
    warned, late = played.scores >= scene.trained.threshold, flights["late"].to_numpy()
    cost = np.where(~warned & late, MISSED, 0.0) + np.where(warned & ~late, FALSE_ALARM, 0.0)
    origin, taken = flights["origin"].to_numpy(), trial.to_numpy()

    def mean(airport: str, version: int) -> float:
        return float(cost[taken & (origin == airport) & (played.versions == version)].mean())

    airport = max(sorted(set(origin[taken])), key=lambda name: mean(name, 2))
    return airport, {version: mean(airport, version) for version in (1, 2)}


def _refused(scene: Scene, promotion: dict[str, Any], after: str) -> list[str]:
    """Try to promote and hear no: the rules that forbid it. Raises RuntimeError where it went through."""
    try:
        scene.acting_as(cast.OPERATOR).post(f"/v1/deployments/{cast.DEPLOYMENT}/promote", promotion, after=after)
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return sorted({rule["rule"] for rule in problem.document.get("rules", []) if not rule["passed"]})
    raise RuntimeError("version 2 was promoted although a slice of it is flagged")


def _allowed(scene: Scene) -> bool:
    return scene.client.get(GATE, stage=STAGE)["allowed"]
