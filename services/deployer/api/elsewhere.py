"""/v1/deployments/{name}: what somebody else deployed, and manifests with which they can."""

import re
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import JSONResponse, Response

from services.deployer import manifests
from services.deployer.api.artifacts import unaltered
from services.deployer.api.bodies import MAX_NAME, NAME_PATTERN, ReportBody
from services.deployer.api.commanding import DEPLOYERS, Commanding
from services.deployer.api.facts import facts_of, known_model
from services.deployer.api.serving import Serving
from services.deployer.domain import Deploy, Report
from shared.events.registry import Artifact
from shared.runtime.http import Call, reading, writing
from shared.runtime.identity import Role
from shared.runtime.openapi import also
from shared.runtime.problems import Problem
from shared.runtime.responses import Answer
from shared.runtime.service import Service

YAML = "application/yaml"
MAKERS = {"kserve": manifests.kserve, "compose": manifests.compose}


def router(service: Service, serving: Serving) -> APIRouter:
    """Endpoints for tools that deploy."""
    routes = APIRouter(prefix="/v1/deployments/{name}", tags=["deployments"])
    reporting, read = writing(service, *DEPLOYERS, Role.SERVICE), reading(service)
    run = Commanding(service, serving)

    @routes.put("", response_class=Answer)
    async def report(name: str, body: ReportBody, call: Annotated[Call, Depends(reporting)]) -> JSONResponse:
        """Say what runs there now, as a tool of continuous delivery does after each deployment; the same again changes
        nothing. The version becomes champion, alone. 409 `gate-closed` with the rules, so that the step fails."""
        _named(name)
        await known_model(service.store, body.model)
        shadows = await _shadows(service, name)
        facts = await facts_of(service.store, body.model, body.environment, [body.version, *shadows])
        await unaltered(facts, body.runtime.kind, service.settings)
        runtime, resources = body.runtime.fact(), body.resources.fact()
        wanted = Deploy(name, body.model, body.version, body.environment, runtime, resources, facts)
        return await run.command(call, name, Report(wanted, body.reason), body)

    @routes.get("/manifest", response_class=Response, responses={200: {"content": {YAML: {}}}} | also(409))
    async def manifest(
        name: str,
        call: Annotated[Call, Depends(read)],
        format: Annotated[Literal["kserve", "compose"], Query()] = "kserve",
        version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="Default: the champion.")] = None,
    ) -> Response:
        """A manifest (YAML) that runs a version with the declared resources: a KServe InferenceService or a Compose
        file, both with Triton, which `runtime` v2 can ask. 409 `no-manifest` where its file is not to be had so."""
        state = await run.current(name)
        number = version or state.traffic.champion
        row = await service.store.get("model_versions", state.model, number)
        if row is None:
            raise Problem(404, "unknown-version", f"Model '{state.model}' has no version {number}.")
        artifact = Artifact.model_validate(row["artifact"])
        try:
            made = MAKERS[format](name, state.model, number, artifact, state.resources)
        except manifests.NoManifest as error:
            raise Problem(409, "no-manifest", f"There is no {format} manifest: {error}.") from error
        return Response(manifests.yaml(made), media_type=YAML)

    return routes


async def _shadows(service: Service, name: str) -> list[int]:
    row: Any = await service.store.get("deployments", name)
    return row["traffic"]["shadows"] if row is not None else []


def _named(name: str) -> None:
    if not re.fullmatch(NAME_PATTERN, name) or len(name) > MAX_NAME:
        raise Problem(422, "bad-name", f"'{name:.100}' is no name of a deployment: letters, digits, '.', '_' and '-'.")
