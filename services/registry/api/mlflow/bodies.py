"""What MLflow's clients send. Members that are not known here are let pass, as MLflow's server does."""

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from services.registry.domain.marks import MAX_KEY, MAX_VALUE

Name = Annotated[str, Field(min_length=1, max_length=256)]
Text = Annotated[str, Field(max_length=20_000)]


_WHOLE = re.compile(r"-?[0-9]{1,9}")


def _number(value: Any) -> Any:
    """MLflow sends a version as text."""
    return int(value) if isinstance(value, str) and _WHOLE.fullmatch(value) else value


Version = Annotated[int, BeforeValidator(_number), Field(ge=-(2**31), lt=2**31)]
"""There is none below 1, which is told as of any other that is not there."""


class Said(BaseModel):
    model_config = ConfigDict(extra="ignore")


class Tag(Said):
    key: Annotated[str, Field(min_length=1, max_length=MAX_KEY)]
    value: Annotated[str, Field(max_length=MAX_VALUE)] = ""


Tags = Annotated[list[Tag], Field(max_length=1_000)]


class Named(Said):
    name: Name


class CreateModel(Named):
    tags: Tags = []
    description: Text = ""


class Rename(Named):
    new_name: str = ""


class UpdateModel(Named):
    description: Text = ""


class Latest(Named):
    stages: Annotated[list[str], Field(max_length=100)] = []


class SetTag(Named, Tag): ...


class DeleteTag(Named):
    key: str


class Alias(Named):
    alias: str


class SetAlias(Alias):
    version: Version


class CreateVersion(Named):
    """`source`: where the model lies; kept as the artifact's uri. The tag `sha256` gives the artifact's digest."""

    source: Annotated[str, Field(min_length=1, max_length=2_000)]
    run_id: Annotated[str, Field(max_length=500)] | None = None
    run_link: Annotated[str, Field(max_length=2_000)] = ""
    tags: Tags = []
    description: Text = ""


class OfVersion(Named):
    version: Version


class UpdateVersion(OfVersion):
    description: Text = ""


class Transition(OfVersion):
    stage: str
    archive_existing_versions: bool = False


class SetVersionTag(OfVersion, Tag): ...


class DeleteVersionTag(OfVersion):
    key: str
