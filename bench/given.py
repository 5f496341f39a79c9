"""A deployed version of ten features, and predictions of it."""

from datetime import UTC, datetime

import numpy as np
import orjson
import pyarrow as pa

from services.monitor.domain.bins import Bins, bins_of
from services.monitor.projection import project
from shared.events import batches, deployer, registry
from shared.events.envelope import Event, Payload
from shared.log.store import Store
from shared.runtime.commands import new_id

AT = datetime(2013, 4, 1, 12, tzinfo=UTC)
NAME = "bench"
FEATURES = tuple(f"f{number}" for number in range(10))
ROWS = 1_000
ARTIFACT = registry.Artifact(uri="external:bench", sha256="ab" * 32)
SIGNATURE = registry.Signature(
    inputs=tuple(registry.Field(name=name, type="double") for name in FEATURES),
    outputs=(registry.Field(name="probability", type="double"),),
)
_REFERENCE = np.random.default_rng(0).normal(size=ROWS).round(6).tolist()
VERSION = registry.ModelVersionRegistered(
    model=NAME,
    version=1,
    artifact=ARTIFACT,
    signature=SIGNATURE,
    reference={name: tuple(_REFERENCE) for name in FEATURES},
)


def bins() -> Bins:
    """What drift of these features is counted in."""
    return bins_of(VERSION.signature, VERSION.reference)


async def known(store: Store) -> None:
    """Let the monitor's views hold the model, its version and the deployment."""
    facts: list[Payload] = [
        registry.ModelRegistered(model=NAME, goal="", owner="ana"),
        VERSION,
        deployer.Deployed(
            deployment=NAME,
            model=NAME,
            version=1,
            environment="production",
            runtime=deployer.Runtime(kind="external"),
            artifact=ARTIFACT,
            traffic=deployer.Traffic(champion=1),
        ),
    ]
    async with store.begin() as unit:
        for fact in facts:
            event = Event(new_id(), f"/muniment/{fact.OWNER}", NAME, AT, 1, "ana", fact, recorded=AT)
            await unit.apply(project(event))


def table(seed: int = 0, at: datetime = AT) -> pa.RecordBatch:
    """1,000 predictions as the log keeps them."""
    rng = np.random.default_rng(seed)
    columns = {"at": pa.array([at] * ROWS, batches.TIMESTAMP)}
    columns |= {batches.FEATURE + name: pa.array(rng.normal(size=ROWS)) for name in FEATURES}
    return pa.record_batch(columns | {batches.OUTPUT + "probability": pa.array(rng.uniform(size=ROWS))})


def json_body(rows: int) -> bytes:
    """So many predictions as a body of POST /v1/predictions."""
    rng = np.random.default_rng(0)
    predictions = [
        {
            "at": AT.isoformat(),
            "features": dict(zip(FEATURES, rng.normal(size=len(FEATURES)).round(6).tolist(), strict=True)),
            "output": {"probability": round(float(rng.uniform()), 6)},
        }
        for _ in range(rows)
    ]
    return orjson.dumps({"deployment": NAME, "version": 1, "predictions": predictions})
