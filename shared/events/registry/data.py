"""Facts about where models come from: data sets, pipelines, runs and what OpenLineage says of them."""

from datetime import datetime
from typing import Any, Literal

from shared.events.registry.parts import Code, Column, DatasetRef, RegistryPayload, Step


class DatasetRegistered(RegistryPayload):
    dataset: str
    version: int
    uri: str
    digest: str | None = None
    rows: int | None = None
    columns: tuple[Column, ...] = ()
    description: str = ""
    bytes: int | None = None


class PipelineRegistered(RegistryPayload):
    pipeline: str
    description: str = ""
    technique: str = ""
    steps: tuple[Step, ...] = ()
    code: Code | None = None


class PipelineRunRecorded(RegistryPayload):
    pipeline: str
    run: str
    state: Literal["running", "succeeded", "failed"]
    started_at: datetime
    ended_at: datetime | None = None
    inputs: tuple[DatasetRef, ...] = ()
    outputs: tuple[DatasetRef, ...] = ()
    code: Code | None = None
    parameters: dict[str, Any] = {}


class LineageReported(RegistryPayload):
    """An OpenLineage event as it came (`body`), with what it is about.

    `digest`: SHA-256 (hex) of its canonical bytes, by which a repeated one is known. `namespace`, `name`: of the job,
    or of the data set where `kind` is dataset. `run`: the run's id, `state` its eventType (START, COMPLETE, …).
    Source: OpenLineage 2-0-2 (RunEvent, JobEvent, DatasetEvent).
    """

    kind: Literal["run", "job", "dataset"]
    digest: str
    namespace: str
    name: str
    run: str | None = None
    state: str | None = None
    body: dict[str, Any]
