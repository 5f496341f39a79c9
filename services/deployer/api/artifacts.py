"""What is deployed has to be what was approved: the bytes of an artifact against the digest on record."""

import asyncio

from services.deployer.domain import Facts
from shared.models import Unservable
from shared.models.artifacts import Altered, verified
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings


async def unaltered(facts: Facts, kind: str, settings: Settings) -> None:
    """Raises Problem 409 `artifact-altered` where the bytes of a version are others than those registered. What cannot
    be read from here is told when it is served."""
    if kind != "onnx":
        return
    for version, about in facts.versions.items():
        try:
            await asyncio.to_thread(verified, about.artifact, settings.max_artifact_bytes)
        except Altered as error:
            detail = f"Version {version} cannot be deployed: {error}."
            raise Problem(409, "artifact-altered", detail, "Put the registered file back, or register anew.") from error
        except Unservable:
            continue
