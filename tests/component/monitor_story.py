"""Facts and rows from which the monitor's component tests are told."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from services.monitor.service import DEFINITION
from shared.events import batches, deployer, registry
from shared.events.catalog import topic_of
from shared.events.codec import encode
from shared.events.envelope import Event, Payload
from shared.runtime.commands import new_id
from tests.support import System, running

AT = datetime(2013, 4, 1, 12, tzinfo=UTC)
DAY = timedelta(days=1)
ARTIFACT = registry.Artifact(uri="external:test", sha256="ab" * 32)
SIGNATURE = registry.Signature(
    inputs=(
        registry.Field(name="hour", type="long"),
        registry.Field(name="wind", type="double", required=False),
        registry.Field(name="carrier", type="string"),
        registry.Field(name="holiday", type="boolean", required=False),
    ),
    outputs=(registry.Field(name="probability", type="double"),),
)
REFERENCE: dict[str, tuple[Any, ...]] = {
    "hour": tuple(range(24)) * 40,
    "wind": tuple(float(x) for x in np.linspace(0, 20, 960)),
    "carrier": ("AA", "UA", "B6") * 320,
}
NO_SIGNATURE = registry.Signature(inputs=(), outputs=())
COST = registry.Formula(kind="cost", threshold=0.3, false_positive=60.0, false_negative=300.0)
TRAFFIC = deployer.Traffic(champion=1, challengers=(deployer.Share(version=2, percent=20.0),))


def facts() -> list[tuple[str, list[Payload]]]:
    """Streams of a goal, its KPIs, a model of two versions and one without signature, and a deployment."""
    versions: list[Payload] = [registry.ModelRegistered(model="late", goal="warn", owner="ana")]
    for number, signature in ((1, SIGNATURE), (2, SIGNATURE), (3, NO_SIGNATURE)):
        versions.append(
            registry.ModelVersionRegistered(
                model="late",
                version=number,
                artifact=ARTIFACT,
                signature=signature,
                reference=REFERENCE if signature is SIGNATURE else {},
            )
        )
    kpi = registry.KpiDefined(kpi="cost", goal="warn", unit="USD", direction="lower", target=20.0, formula=COST)
    deployed = deployer.Deployed(
        deployment="late",
        model="late",
        version=1,
        environment="production",
        runtime=deployer.Runtime(kind="external"),
        artifact=ARTIFACT,
        traffic=TRAFFIC,
    )
    return [("kpi/cost", [kpi]), ("model/late", versions), ("deployment/late", [deployed])]


async def state(system: System, subject: str, payloads: list[Payload]) -> None:
    """Put facts of another service on the log."""
    for place, payload in enumerate(payloads, 1):
        event = Event(new_id(), f"/muniment/{payload.OWNER}", subject, AT, place, "ana", payload, recorded=AT)
        await system.log.publish(topic_of(payload), [encode(event)])


@asynccontextmanager
async def monitoring(partitions: int = 1, **changed: Any) -> AsyncIterator[System]:
    """The monitor with these facts known."""
    async with running(DEFINITION, partitions=partitions, **changed) as system:
        for subject, payloads in facts():
            await state(system, subject, payloads)
        await system.settle()
        yield system


def row(**changed: Any) -> dict[str, Any]:
    """One valid prediction."""
    features = {"hour": 5, "wind": 3.5, "carrier": "AA", "holiday": False}
    return {"at": AT.isoformat(), "features": features, "output": {"probability": 0.25}} | changed


def body(*rows: dict[str, Any], version: int = 1) -> dict[str, Any]:
    return {"deployment": "late", "version": version, "predictions": list(rows)}


def table(rows: int = 4, at: datetime = AT, seed: int = 0, **columns: Any) -> pa.RecordBatch:
    """Valid predictions as a record batch. A column given as None is left out."""
    rng = np.random.default_rng(seed)
    made: dict[str, Any] = {
        "at": pa.array([at] * rows, batches.TIMESTAMP),
        "feature.hour": rng.integers(0, 24, rows),
        "feature.wind": rng.uniform(0, 20, rows),
        "feature.carrier": rng.choice(["AA", "UA", "B6"], rows),
        "output.probability": rng.uniform(0, 1, rows),
    }
    made |= {name.replace("__", "."): column for name, column in columns.items()}
    return pa.record_batch({name: column for name, column in made.items() if column is not None})


def arrow(batch: pa.RecordBatch, version: int = 1) -> dict[str, Any]:
    """Keywords of a POST of this batch."""
    return {
        "params": {"deployment": "late", "version": version},
        "content": batches.write(batch),
        "headers": {"content-type": "application/vnd.apache.arrow.stream"},
    }
