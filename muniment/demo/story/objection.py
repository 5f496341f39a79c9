"""Before the promotion the expert objects: a slice is flagged, the gate closes with the reason, an answer opens it."""

from datetime import datetime, timedelta
from typing import Any

from muniment.demo.story import cast, figures, gates, waiting
from muniment.demo.story.scene import Scene, text

VERSION = 2


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
    closed = waiting.until_gate(scene, VERSION, allowed=False)
    operator, path = scene.acting_as(cast.OPERATOR), f"/v1/deployments/{cast.DEPLOYMENT}/promote"
    refused = gates.refused(lambda: operator.post(path, promotion, after=closed["event_id"]), "a slice is flagged")
    shown = gates.shown(VERSION)
    scene.check("Promotion refused while the slice is flagged", refused, ["no-critical-flags"], shown)
    scene.say(f"The gate refuses the promotion of version 2: {', '.join(refused)}, flag {flag}")
    answer = f"Version 1 cost USD {costs[1]:.2f} there in the same weeks: late flights are dearest where most are late."
    better = costs[2] < costs[1]
    said = {"resolution": "works_as_intended" if better else "model_defect", "comment": answer}
    done = scientist.post(
        f"/v1/flags/{flag}/resolve", said | {"at": text(day - timedelta(hours=2))}, after=raised["event_id"]
    )
    scene.flag_writes.append(done["event_id"])
    scene.last_write = waiting.until_gate(scene, VERSION, allowed=True)["event_id"]
    allowed = scene.client.get(gates.gate(VERSION), stage=gates.STAGE)["allowed"]
    scene.check("Promotion allowed once the flag is answered", allowed, True, shown)
    scene.say(f"{cast.SCIENTIST} answers: {answer} The gate opens again")


def told_in(report: bytes) -> bool:
    """Whether a report names the flag, its expert, who answered, and the rule that refused for it."""
    words = (cast.EXPERT, cast.SCIENTIST, "costly airport", "no-critical-flags")
    return all(word.encode() in report for word in words)


def _dearest(scene: Scene, day: datetime) -> tuple[str, dict[int, float]]:
    """(the airport where version 2 cost most per flight in the trial, what each version cost per flight from there)."""
    frame = figures.by_flight(scene)
    before = day - timedelta(days=3)  # by then every flight has landed
    trial = frame[(frame["at"] >= scene.schedule.challenge) & (frame["at"] < before) & frame["arrived"]]
    costs = trial.groupby(["version", "origin"])["cost"].mean()
    airport = str(costs[2].idxmax())
    return airport, {version: float(costs[version][airport]) for version in (1, 2)}
