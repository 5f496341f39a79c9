"""A dossier's document: the story of a prediction in the order in which a reader asks, each part with its events."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

Json = dict[str, Any]
ON_DEMAND = "Computed when it is asked for, from the model as served; the record holds none."
OF_CONSTANT = (
    "A constant answered, set beforehand for when the model fails; what the model would have said is not known."
)


def document(told: Mapping[str, Any], events: Sequence[Json]) -> Json:
    """The parts, from a story (`api.predictions.story`) and the register of all events that are referred to."""
    version: Json = told["version"]
    return {
        "prediction": told["prediction"],
        "purpose": {"goal": told["goal"], "kpis": told["kpis"]},
        "model": told["model"],
        "version": version,
        "author": version["stated_by"],
        "code": told["code"],
        "training_data": told["training_data"],
        "columns": columns(version["attributes"], told["training_data"]),
        "runs": told["runs"],
        "evidence": told["evidence"],
        "approvals": told["approvals"],
        "approvers": sorted({one["by"] for one in told["approvals"] if one["decision"] == "approve"}),
        "gate": told["gate"],
        "policy": {**dict.fromkeys(told["gate"]["stages"]), **told["policy"]},
        "deployment": told["deployment"],
        "traffic": told["traffic"],
        "experiment": experiment(told["traffic"], told["prediction"]),
        "experiments": told["experiments"],
        "explanation": explanation(told["prediction"]),
        "outcome": told["outcome"],
        "flags": told["flags"],
        "events": list(events),
    }


def columns(version: Mapping[str, Any], data: Sequence[Json]) -> list[Json]:
    """Each input of the version with the columns of its training data that bear its name, and what these came from."""
    inputs = (version.get("signature") or {}).get("inputs", [])
    found: list[Json] = []
    for one in inputs:
        named = [
            {"dataset": node["id"], **column}
            for node in data
            for column in node["attributes"].get("columns", [])
            if column["name"] == one["name"]
        ]
        found.append({"input": one["name"], "type": one["type"], "columns": named})
    return found


def experiment(traffic: Json, prediction: Json) -> Json | None:
    """The trial under way then; `arm`: the role of the version that predicted (None: a constant answered). None where
    nobody challenged."""
    champion, others = traffic["champion"], [*traffic["challengers"], *traffic["shadows"]]
    if not others:
        return None
    answered = None if prediction["fallback"] else prediction["version"]
    arms = [{"role": "champion", **champion}] if champion else []
    arms += [{"role": "challenger", **one} for one in traffic["challengers"]]
    arms += [{"role": "shadow", **one} for one in traffic["shadows"]]
    return {
        "deployment": prediction["deployment"],
        "arm": next((one["role"] for one in arms if one["version"] == answered), None),
        "arms": arms,
        "url": f"/v1/deployments/{prediction['deployment']}/experiments",
    }


def explanation(prediction: Json) -> Json:
    note = OF_CONSTANT if prediction["fallback"] else ON_DEMAND
    return {"on_record": None, "note": note, "url": f"/v1/predictions/{quote(prediction['id'], safe='')}/explanation"}


def event_ids(told: Any) -> list[str]:
    """Every event id that the parts refer to, in the order in which they do."""
    found: dict[str, None] = {}

    def look(value: Any, key: str = "") -> None:
        if isinstance(value, Mapping):
            for name, one in value.items():  # pyright: ignore[reportUnknownVariableType]
                look(one, str(name))  # pyright: ignore[reportUnknownArgumentType]
        elif isinstance(value, list | tuple):
            for one in value:  # pyright: ignore[reportUnknownVariableType]
                look(one, key)
        elif isinstance(value, str) and key in ("event_id", "events", "batch", "outcome_event", "evidence"):
            found[value] = None

    look(told)
    return list(found)
