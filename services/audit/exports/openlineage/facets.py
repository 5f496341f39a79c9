"""Facets of OpenLineage 2-0-2, each with the version of its schema. Source: openlineage.io/spec."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import SplitResult, urlsplit

from services.audit.exports.uris import as_uri

PRODUCER = "urn:muniment:audit"
NAMESPACE = "muniment"
SPEC = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
_VERSIONS = {
    "ColumnLineageDatasetFacet": "1-2-0",
    "DatasetVersionDatasetFacet": "1-0-1",
    "DatasourceDatasetFacet": "1-0-1",
    "DocumentationDatasetFacet": "1-1-0",
    "DocumentationJobFacet": "1-1-0",
    "ExecutionParametersRunFacet": "1-0-0",
    "JobTypeJobFacet": "2-0-4",
    "NominalTimeRunFacet": "1-0-1",
    "OwnershipDatasetFacet": "1-0-1",
    "OwnershipJobFacet": "1-0-1",
    "SchemaDatasetFacet": "1-2-0",
    "SourceCodeLocationJobFacet": "1-1-0",
    "SymlinksDatasetFacet": "1-0-1",
}
Facet = dict[str, Any]


def facet(name: str, /, **fields: Any) -> Facet:
    """A facet with the two members that every one has."""
    url = f"https://openlineage.io/spec/facets/{_VERSIONS[name]}/{name}.json#/$defs/{name}"
    return {"_producer": PRODUCER, "_schemaURL": url, **fields}


def owned(name: str, actor: str) -> Facet:
    return facet(name, owners=[{"name": f"user:{actor}", "type": "OWNER"}])


def code(said: Mapping[str, Any] | None) -> dict[str, Facet]:
    """Where the code lies, where it is stated with a URL."""
    if not said:
        return {}
    repo = as_uri(said["repo"] if "://" in said["repo"] else f"repo:{said['repo']}")
    path = {"path": said["path"]} if said.get("path") else {}
    made = facet("SourceCodeLocationJobFacet", type="git", url=repo, repoUrl=repo, version=said["commit"], **path)
    return {"sourceCodeLocation": made}


def _split(uri: str) -> SplitResult | None:
    try:
        return urlsplit(uri)
    except ValueError:  # such as an unclosed bracket in the host
        return None


def schema(fields: Iterable[Mapping[str, Any]]) -> dict[str, Facet]:
    """Names, types and descriptions of columns, in their order."""
    listed = [
        {"name": one["name"], "type": one["type"], "ordinal_position": place}
        | ({"description": one["description"]} if one.get("description") else {})
        for place, one in enumerate(fields, 1)
    ]
    return {"schema": facet("SchemaDatasetFacet", fields=listed)} if listed else {}


def place(uri: str) -> dict[str, Facet]:
    """Where the data lies: as a data source, and, where the URI tells, under the name that other producers give it."""
    uri = as_uri(uri)
    parts = _split(uri)
    if parts is None:
        return {}
    known = "://" in uri and parts.path
    found = {"dataSource": facet("DatasourceDatasetFacet", name=parts.netloc or parts.scheme or NAMESPACE, uri=uri)}
    if not known:
        return found if parts.scheme else {}
    namespace = "file" if parts.scheme == "file" else f"{parts.scheme}://{parts.netloc}"
    name = parts.path if parts.scheme == "file" else parts.path.lstrip("/")
    identifiers = [{"namespace": namespace, "name": name, "type": "TABLE"}]
    return {**found, "symlinks": facet("SymlinksDatasetFacet", identifiers=identifiers)}


def columns(sources: Iterable[Mapping[str, Any]]) -> dict[str, Facet]:
    """Which columns each column comes from; a source is written `DATASET.COLUMN`."""
    fields: dict[str, Any] = {}
    for column in sources:
        inputs = [one.rpartition(".") for one in column["sources"] if "." in one]
        if inputs:
            fields[column["name"]] = {
                "inputFields": [{"namespace": NAMESPACE, "name": name, "field": field} for name, _, field in inputs]
            }
    return {"columnLineage": facet("ColumnLineageDatasetFacet", fields=fields)} if fields else {}
