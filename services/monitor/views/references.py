"""What an explanation rests on: a version's artifact and a sample of its reference, a deployment's runtime."""

from collections.abc import Mapping, Sequence
from typing import Any

from shared.events.deployer import Deployed
from shared.events.envelope import Event
from shared.events.registry import ModelVersionRegistered
from shared.log.tables import Change, Put, Table

SAMPLE_ROWS = 1_000

REFERENCES = Table(
    "reference_samples",
    ("model", "version"),
    {"model": "text", "version": "integer", "artifact": "json", "sample": "json", "aligned": "boolean"},
)
RUNTIMES = Table("runtimes", ("deployment",), {"deployment": "text", "kind": "text"})

TABLES = (REFERENCES, RUNTIMES)


def project(event: Event) -> list[Change]:
    """The rows that a registration or a deployment sets."""
    match event.data:
        case ModelVersionRegistered() as version:
            return [_reference(version)]
        case Deployed(deployment=name, runtime=runtime):
            return [Put("runtimes", {"deployment": name, "kind": runtime.kind})]
        case _:
            return []


def _reference(version: ModelVersionRegistered) -> Change:
    sample, aligned = sampled(version.reference)
    return Put(
        "reference_samples",
        {
            "model": version.model,
            "version": version.version,
            "artifact": version.artifact.model_dump(mode="json"),
            "sample": sample,
            "aligned": aligned,
        },
    )


def sampled(reference: Mapping[str, Sequence[Any]], rows: int = SAMPLE_ROWS) -> tuple[dict[str, list[Any]], bool]:
    """(evenly spaced values per feature, `rows` at most, all of one length; whether rows belong together).

    Lists of one length are taken as rows of one table; lists of several lengths as features apart from one another.
    """
    lengths = {len(values) for values in reference.values() if values}
    if not lengths:
        return {}, False
    count = min(rows, min(lengths))
    return {
        name: [values[place * len(values) // count] for place in range(count)]
        for name, values in sorted(reference.items())
        if values
    }, len(lengths) == 1
