"""Versions of every kind of problem, deployed, for the component tests of quality, money and fairness."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pyarrow as pa

from services.monitor.service import DEFINITION
from shared.events import batches, deployer, registry
from shared.events.envelope import Payload
from tests.component.monitor_story import ARTIFACT, AT, state
from tests.support import System, running

INPUTS = (
    registry.Field(name="age", type="double", required=False),
    registry.Field(name="sex", type="string", required=False),
)
COST = registry.Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0)
FUEL = registry.Formula(kind="formula", expression="12.5 * mae * cases")
PROTECTED = (
    registry.Protected(name="sex", feature="sex", reference="m"),
    registry.Protected(name="age", feature="age", edges=(30.0, 60.0)),
    registry.Protected(name="origin"),
)
CLASSES = ("small", "medium", "large")
MODELS: dict[str, tuple[tuple[registry.Field, ...], dict[str, Any], list[tuple[str, registry.Formula]]]] = {
    "loans": (
        (registry.Field(name="chance", type="double"),),
        {"task": "binary", "protected": PROTECTED},
        [("loss", COST)],
    ),
    "minutes": ((registry.Field(name="minutes", type="double"),), {"task": "regression"}, [("fuel", FUEL)]),
    "sizes": ((registry.Field(name="size", type="string"),), {"task": "multiclass", "classes": CLASSES}, []),
}


def facts() -> list[tuple[str, list[Payload]]]:
    """Per model a goal, its KPIs, two versions, and a deployment of the first with the second as challenger."""
    said: list[tuple[str, list[Payload]]] = []
    for name, (outputs, judged, kpis) in MODELS.items():
        signature = registry.Signature(inputs=INPUTS, outputs=outputs)
        versions: list[Payload] = [registry.ModelRegistered(model=name, goal=name, owner="ana")]
        versions += [
            registry.ModelVersionRegistered(
                model=name, version=number, artifact=ARTIFACT, signature=signature, **judged
            )
            for number in (1, 2)
        ]
        for kpi, formula in kpis:
            defined = registry.KpiDefined(
                kpi=kpi, goal=name, unit="USD", direction="lower", target=40.0, formula=formula
            )
            said.append((f"kpi/{kpi}", [defined]))
        deployed = deployer.Deployed(
            deployment=name,
            model=name,
            version=1,
            environment="production",
            runtime=deployer.Runtime(kind="external"),
            artifact=ARTIFACT,
            traffic=deployer.Traffic(champion=1, challengers=(deployer.Share(version=2, percent=20.0),)),
        )
        said += [(f"model/{name}", versions), (f"deployment/{name}", [deployed])]
    return said


@asynccontextmanager
async def judging(partitions: int = 1, **changed: Any) -> AsyncIterator[System]:
    """The monitor with these facts known."""
    async with running(DEFINITION, partitions=partitions, **changed) as system:
        for subject, payloads in facts():
            await state(system, subject, payloads)
        await system.settle()
        yield system


async def predict(system: System, deployment: str, version: int = 1, **columns: Any) -> str:
    """Post predictions in columns (`__` for the dot); answers the batch."""
    rows = len(next(iter(columns.values())))
    made = {"at": pa.array([AT] * rows, batches.TIMESTAMP)}
    made |= {name.replace("__", "."): column for name, column in columns.items()}
    answer = await system.client.post(
        "/v1/predictions",
        params={"deployment": deployment, "version": version},
        content=batches.write(pa.record_batch(made)),
        headers={"content-type": "application/vnd.apache.arrow.stream"},
    )
    assert answer.status_code == 202, answer.text
    return answer.json()["batch"]


async def tell(system: System, batch: str, values: Sequence[float] | np.ndarray, first: int = 0) -> None:
    """Tell the outcomes of a batch's rows, from row `first` on."""
    ids = [f"{batch}-{first + place}" for place in range(len(values))]
    table = pa.record_batch({"prediction_id": ids, "value": np.asarray(values, np.float64)})
    answer = await system.client.post(
        "/v1/outcomes",
        content=batches.write(table),
        headers={"content-type": "application/vnd.apache.arrow.stream"},
    )
    assert answer.status_code == 202, answer.text


async def get(system: System, path: str, **params: Any) -> dict[str, Any]:
    answer = await system.client.get(path, params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()
