"""A version as clients give it, made into what is decided on."""

from services.registry.api.bodies import ReferenceAt, Values, VersionBody
from services.registry.api.known import dataset_refs, model_state
from services.registry.references.reading import References
from shared.events.registry import Artifact, ModelVersionRegistered, ReferenceSource
from shared.log.store import UnitOfWork
from shared.runtime.http import Call
from shared.runtime.service import Service

__all__ = ["References", "given", "referenced"]


async def referenced(
    references: References, call: Call, name: str, body: VersionBody
) -> tuple[Values, ReferenceSource | None]:
    """The reference's values, read from their file where they lie in one, before anything is locked for the write."""
    if not isinstance(body.reference, ReferenceAt):
        return body.reference, None
    async with call.service.store.begin() as unit:
        await model_state(call.service, unit, name)
    if await call.answered():
        return {}, None
    signature = body.signature.stated()
    fields = [one for one in body.signature.inputs if one.name not in signature.personal]
    if body.signature.inputs and not fields:
        return {}, None  # nothing but personal inputs, which no event may hold
    return await references.read(body.reference.uri, body.reference.sha256, fields)


async def given(
    service: Service,
    unit: UnitOfWork,
    name: str,
    body: VersionBody,
    reference: Values,
    source: ReferenceSource | None,
) -> ModelVersionRegistered:
    """The version as it was given, without its number, with the newest version of data sets that name none."""
    simple = {"framework", "params", "metrics", "pipeline_run", "branch", "description"}
    simple |= {"task", "classes"}
    return ModelVersionRegistered(
        model=name,
        version=0,
        artifact=Artifact(uri=body.artifact.uri, sha256=body.artifact.sha256, size=body.artifact.size),
        signature=body.signature.stated(),
        training_data=await dataset_refs(service, unit, body.training_data),
        code=body.code,
        protected=body.protected,
        reference=reference,
        reference_source=source,
        **body.model_dump(include=simple),
    )
