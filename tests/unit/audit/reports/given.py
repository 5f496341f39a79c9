"""Facts of a model for the tests of reports, without a store."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.audit.reports.facts import Fact, Facts, ordered
from tests.unit.audit.facts import day, event_id

MODEL = {"model": "m", "goal": None, "owner": "dan", "risk_tier": "high", "technique": "linear", "description": ""}
TRAFFIC = {"champion": 1, "challengers": [], "shadows": [], "sticky_by": None}


def fact(number: int, type_: str, data: Mapping[str, Any], happened: float, *, actor: str = "dan", **more: Any) -> Fact:
    """One event; `recorded` in days, else as it happened."""
    recorded: datetime = day(more.get("recorded", happened))
    return Fact(event_id(number), type_, "s", number, day(happened), recorded, actor, data)


def facts_of(*facts: Fact, at: float = 100, known_at: float = 100) -> Facts:
    return Facts("m", day(at), day(known_at), ordered(facts))


def registered() -> Fact:
    return fact(1, "ModelRegistered", MODEL, 0)


def version(number: int, actor: str = "dan") -> Fact:
    data = {
        "model": "m", "version": number, "artifact": {"uri": "external:x", "sha256": "ab" * 32}, "framework": "",
        "params": {}, "signature": {"inputs": [], "outputs": []}, "metrics": {}, "training_data": [], "code": None,
        "pipeline_run": None, "branch": "main", "parents": [], "reference": {}, "description": "",
    }  # fmt: skip
    return fact(10 + number, "ModelVersionRegistered", data, 1, actor=actor)


def deployed(number: int = 1) -> Fact:
    data = {
        "deployment": "d", "model": "m", "version": number, "environment": "production", "runtime": {"kind": "onnx"},
        "resources": {}, "artifact": {"uri": "external:x", "sha256": "ab" * 32},
        "traffic": {**TRAFFIC, "champion": number},
    }  # fmt: skip
    return fact(30, "Deployed", data, 5, actor="dev")


def approved(number: int, actor: str, name: int) -> Fact:
    data = {"model": "m", "version": number, "approval": "a", "role": "risk_manager", "comment": "", "conditions": []}
    return fact(name, "ApprovalGranted", data, 2, actor=actor)


def evidence(number: int, name: int, *, passed: bool = True, actor: str = "ci", happened: float = 2) -> Fact:
    data = {
        "model": "m",
        "version": number,
        "evidence": "e",
        "kind": "quality",
        "name": "auc",
        "metrics": {},
        "report": "",
    }
    return fact(name, "EvidenceRecorded", {**data, "passed": passed}, happened, actor=actor)


def window(name: int, number: int, start: float, **more: Any) -> Fact:
    data = {
        "deployment": "d", "model": "m", "version": number, "window_start": day(start).isoformat(),
        "window_end": day(start + 1).isoformat(), "revision": 0, "predictions": 10, "outcomes": 0, "drift": [],
        "quality": {}, "kpis": [], **more,
    }  # fmt: skip
    return fact(name, "WindowMeasured", data, more.get("said", start + 1), actor="monitor")
