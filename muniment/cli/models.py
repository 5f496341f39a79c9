"""The command of those who ship models: register."""

import hashlib
import sys
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer

from muniment.cli.bundles import SUFFIX, of_bundle
from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import (
    UNKNOWN,
    Actor,
    AsJson,
    Key,
    Url,
    connected,
    fail,
    wrote,
)
from muniment.errors import ProblemError


def add(app: typer.Typer) -> None:
    app.command()(register)


def register(
    model: str,
    document: Annotated[str, typer.Argument(help="A bundle, or a JSON file of the version as in the API, or -.")],
    store: Annotated[str | None, typer.Option(help="Where the bundle is kept: a folder or s3://BUCKET/PREFIX.")] = None,
    branch: Annotated[str, typer.Option(help="The branch of a bundle's version.")] = "main",
    data: Annotated[list[str] | None, typer.Option(help="Data set of a bundle's training; may be given again.")] = None,
    commit: Annotated[str | None, typer.Option(help="REPO@COMMIT of a bundle's code.")] = None,
    owner: Annotated[str | None, typer.Option(help="Register the model first where it is missing.")] = None,
    goal: Annotated[str | None, typer.Option(help="The goal it serves, where it is registered too.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Register a version: a bundle of `muniment package`, kept under its digest, or what a JSON document says (an
    artifact that is a local file needs no sha256: it is computed)."""
    if document.endswith(SUFFIX):
        body = of_bundle(document, store, branch, data or [], commit)
    else:
        body = _read(document)
        _complete_artifact(body)
    with connected(url, actor, key) as client:
        after = None
        if owner is not None and not _exists(client, f"/v1/models/{model}"):
            after = client.post("/v1/models", {"name": model, "owner": owner, "goal": goal})["event_id"]
        answer = client.post(f"/v1/models/{model}/versions", body, after=after)
    wrote(answer, as_json, f"{model} version {answer.get('version')} registered")


def _read(document: str) -> dict[str, Any]:
    try:
        body = orjson.loads(sys.stdin.buffer.read() if document == "-" else Path(document).read_bytes())
    except (OSError, orjson.JSONDecodeError) as error:
        fail(f"{document}: {error}", UNKNOWN)
        raise AssertionError from error
    if not isinstance(body, dict):
        fail(f"{document}: a version is a JSON object", UNKNOWN)
    return body


def _complete_artifact(body: dict[str, Any]) -> None:
    artifact = body.get("artifact")
    if not isinstance(artifact, dict) or "sha256" in artifact:
        return
    path = Path(str(artifact.get("uri", "")).removeprefix("file://"))
    if path.is_file():
        artifact["uri"] = path.resolve().as_uri()
        artifact["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()


def _exists(client: Any, path: str) -> bool:
    try:
        client.get(path)
    except ProblemError as problem:
        if problem.status == 404:
            return False
        raise
    return True
