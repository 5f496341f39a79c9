"""What the registry said, from this service's views, as facts for a command."""

from collections.abc import Iterable

from services.deployer.domain import GATED, Facts, GateFacts, VersionFacts
from shared.events.registry import Artifact, Rule, Signature
from shared.log.store import Store
from shared.log.tables import Query, equal
from shared.runtime.problems import not_found

MAX_KNOWN = 1_000


async def known_model(store: Store, model: str) -> None:
    """Raise Problem 404 with the names nearby where the registry has no such model."""
    if await store.get("models", model) is None:
        rows = await store.find(Query("models", limit=MAX_KNOWN, columns=("model",)))
        not_found("model", model, [row["model"] for row in rows])


async def facts_of(store: Store, model: str, environment: str, versions: Iterable[int]) -> Facts:
    """The model's newest versions by number, and all about those named."""
    query = Query("model_versions", equal(model=model), ("-version",), MAX_KNOWN, columns=("version",))
    known = tuple(row["version"] for row in await store.find(query))
    found = [await _version(store, model, environment, version) for version in dict.fromkeys(versions)]
    return Facts(known, {one.version: one for one in found if one is not None})


async def _version(store: Store, model: str, environment: str, version: int) -> VersionFacts | None:
    row = await store.get("model_versions", model, version)
    if row is None:
        return None
    gate = await store.get("gates", model, version, environment) if environment in GATED else None
    return VersionFacts(
        version,
        Artifact.model_validate(row["artifact"]),
        Signature.model_validate(row["signature"]),
        GateFacts(gate["allowed"], tuple(Rule.model_validate(rule) for rule in gate["rules"])) if gate else None,
    )
