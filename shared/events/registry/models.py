"""Facts about models and their versions, and the marks on them."""

from datetime import datetime
from typing import Any

from shared.events.registry.parts import (
    Artifact,
    Code,
    DatasetRef,
    MlflowStage,
    Part,
    Protected,
    RegistryPayload,
    RiskTier,
    Side,
    Signature,
    Task,
)


class ModelRegistered(RegistryPayload):
    """`since`: when the model was first registered, where this only says the goal that it had not."""

    model: str
    goal: str | None = None
    owner: str
    risk_tier: RiskTier = "medium"
    technique: str = ""
    description: str = ""
    since: datetime | None = None


class ReferenceSource(Part):
    """The file that a reference was read from when it was registered: its SHA-256 (hex) and its number of rows."""

    uri: str
    sha256: str
    rows: int


class Merged(Part):
    """How a version with two parents came about: `ours` (of the branch merged into) and `theirs`, their nearest common
    ancestor `base` (None: they have none), and for everything that changed since then whose state won."""

    ours: int
    theirs: int
    base: int | None
    won: dict[str, Side] = {}


class ModelVersionRegistered(RegistryPayload):
    """`reference`: what each feature looked like in training, as values (numbers, strings, booleans or null);
    `reference_source`: the file that they are a sample of, if it was one.

    `task`: what kind of problem the outputs answer; None leaves it to the outputs' types, the KPIs and names.
    `classes`: of a multiclass problem, in the order of the codes that outcomes name them by (0, 1, …).
    """

    model: str
    version: int
    artifact: Artifact
    framework: str = ""
    signature: Signature
    params: dict[str, Any] = {}
    metrics: dict[str, float] = {}
    training_data: tuple[DatasetRef, ...] = ()
    pipeline_run: str | None = None
    code: Code | None = None
    branch: str = "main"
    parents: tuple[int, ...] = ()
    reference: dict[str, tuple[float | str | bool | None, ...]] = {}
    description: str = ""
    task: Task | None = None
    classes: tuple[str, ...] = ()
    protected: tuple[Protected, ...] = ()
    reference_source: ReferenceSource | None = None
    merged: Merged | None = None
    run_link: str = ""


class AliasMoved(RegistryPayload):
    model: str
    alias: str
    before: int | None
    after: int | None
    reason: str = ""


class TagChanged(RegistryPayload):
    """A tag of a version, or of the model itself (`version` None), was set (`after`) or taken away (`after` None)."""

    model: str
    version: int | None = None
    key: str
    before: str | None
    after: str | None
    reason: str = ""


class DescriptionChanged(RegistryPayload):
    """A version, or the model itself (`version` None), is described anew; what was said before stays on record."""

    model: str
    version: int | None = None
    description: str


class StageMoved(RegistryPayload):
    """A version was moved to another of MLflow's stages, which tell nothing about what is deployed."""

    model: str
    version: int
    before: MlflowStage
    after: MlflowStage
    reason: str = ""


class VersionRetired(RegistryPayload):
    """A version is no longer to be used. It stays on record, and nothing goes to any stage with it."""

    model: str
    version: int
    reason: str


class ModelRetired(RegistryPayload):
    """A model is no longer to be used; its versions were retired with it. It may be registered again."""

    model: str
    reason: str
