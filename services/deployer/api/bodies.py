"""Request bodies, named as at the edge."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, HttpUrl, StringConstraints, model_validator

from shared.events.deployer import Fallback, Reaction, Resources, Runtime, Share, Traffic, Trigger
from shared.runtime.times import Instant

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"
MAX_NAME = 100
MAX_LISTED = 50
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN, max_length=MAX_NAME)]
Text = Annotated[str, StringConstraints(max_length=2_000)]
Constant = Annotated[float, Field(allow_inf_nan=False)] | int | bool | Text
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")

    at: Instant | None = None


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
        if self.kind == "v2" and "/versions/" in str(self.url):
            raise ValueError("the url is the server's or the model's; a version is asked by its number here")
        return self

    def fact(self) -> Runtime:
        return Runtime(kind=self.kind, url=str(self.url) if self.url else None)  # type: ignore[arg-type]


class ResourcesBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    cpu: Annotated[float, Field(gt=0, le=1e6)] | None = None
    memory_mib: Annotated[float, Field(gt=0, le=1e9)] | None = None
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


class ReportBody(Body):
    """What somebody else deployed, and why."""

    model: Annotated[str, StringConstraints(min_length=1, max_length=200)]
    version: Version
    environment: Name
    runtime: RuntimeBody = RuntimeBody(kind="external")
    resources: ResourcesBody = ResourcesBody()
    reason: Text = ""


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


class CanaryBody(ReasonBody):
    """`steps`: percent, rising; each is kept for `step_seconds`; at the end it becomes champion, if `promote`.
    `guardrails`: what, stated of this version, holds it."""

    version: Version
    steps: Annotated[list[Annotated[float, Field(gt=0, le=100)]], Field(min_length=1, max_length=MAX_LISTED)]
    step_seconds: Annotated[float, Field(gt=0, le=366 * 86_400)]
    promote: bool = False
    guardrails: list[Trigger] = ["kpi", "flags", "guardrail"]


class ReactionBody(BaseModel):
    """`names`: features, KPIs, guardrails or kinds of limit that count; empty: all."""

    model_config = ConfigDict(extra="forbid")

    on: Trigger
    do: Literal["warn", "hold", "roll_back"]
    names: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=MAX_LISTED)] = []

    def fact(self) -> Reaction:
        return Reaction(on=self.on, do=self.do, names=tuple(self.names))


class ReactionsBody(ReasonBody):
    """Within `cool_down_seconds` after a reaction only a harder one follows."""

    rules: Annotated[list[ReactionBody], Field(max_length=MAX_LISTED)]
    cool_down_seconds: Annotated[float, Field(ge=0, le=366 * 86_400)] = 3_600.0


class FallbackBody(ReasonBody):
    """`constant`: these `outputs` for every row where the champion fails, too."""

    kind: Literal["none", "champion", "constant"]
    outputs: Annotated[dict[str, Constant], Field(max_length=MAX_LISTED)] = {}

    def fact(self) -> Fallback:
        return Fallback(kind=self.kind, outputs=self.outputs)
