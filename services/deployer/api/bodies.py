"""Request bodies, named as at the edge."""

from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, model_validator

from shared.events.deployer import Resources, Runtime, Share, Traffic

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
MAX_NAME = 100
MAX_LISTED = 50
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=MAX_NAME)]
Text = Annotated[str, StringConstraints(max_length=2_000)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: AwareDatetime | None = None


class RuntimeBody(BaseModel):
    """`url`: of a v2 runtime, the model's address (`…/v2/models/NAME`) or its server's."""

    model_config = ConfigDict(extra="forbid")

    kind: Annotated[str, StringConstraints(pattern=r"^(onnx|v2|external)$")] = "onnx"
    url: HttpUrl | None = None

    @model_validator(mode="after")
    def _addressed(self) -> "RuntimeBody":
        if self.kind == "v2" and self.url is None:
            raise ValueError("a v2 runtime needs the url of its server")
        if self.kind == "onnx" and self.url is not None:
            raise ValueError("an onnx runtime runs in process and takes no url")
        return self

    def fact(self) -> Runtime:
        return Runtime(kind=self.kind, url=str(self.url) if self.url else None)  # type: ignore[arg-type]


class ResourcesBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cpu: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    memory_mib: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    replicas: Annotated[int, Field(ge=1, le=10_000)] = 1
    cost_per_hour: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None

    def fact(self) -> Resources:
        return Resources(**self.model_dump())


class DeployBody(Body):
    name: Name
    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Version
    environment: Name
    runtime: RuntimeBody = RuntimeBody()
    resources: ResourcesBody = ResourcesBody()


class ShareBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    version: Version
    percent: Annotated[float, Field(allow_inf_nan=False)]


class TrafficBody(Body):
    champion: Version
    challengers: Annotated[list[ShareBody], Field(max_length=MAX_LISTED)] = []
    shadows: Annotated[list[Version], Field(max_length=MAX_LISTED)] = []
    sticky_by: Annotated[str, StringConstraints(min_length=1, max_length=200)] | None = None
    reason: Text = ""

    def fact(self) -> Traffic:
        return Traffic(
            champion=self.champion,
            challengers=tuple(Share(version=one.version, percent=one.percent) for one in self.challengers),
            shadows=tuple(self.shadows),
            sticky_by=self.sticky_by,
        )


class ReasonBody(Body):
    reason: Text = ""


class PromoteBody(ReasonBody):
    version: Version | None = None
