"""Commands of those who deploy, in a terminal or a pipeline: deploy, traffic, promote, rollback, status."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show, tell, wrote
from muniment.client import Client
from muniment.errors import ProblemError


def add(app: typer.Typer) -> None:
    for command in (deploy, traffic, promote, rollback, status):
        app.command()(command)


def deploy(
    name: str,
    model: str,
    version: int,
    environment: Annotated[str, typer.Option()] = "production",
    kind: Annotated[str, typer.Option(help="onnx, v2 or external.")] = "onnx",
    endpoint: Annotated[str | None, typer.Option(help="URL of the server, of kind v2 or external.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Deploy a version as champion of a deployment. Production and staging need an open gate."""
    runtime = {"kind": kind} | ({"url": endpoint} if endpoint else {})
    body = {"name": name, "model": model, "version": version, "environment": environment, "runtime": runtime}
    with connected(url, actor, key) as client:
        answer = client.post("/v1/deployments", body)
    wrote(answer, as_json, f"{name} runs {model} version {version} in {environment}")


def promote(
    deployment: str,
    version: int,
    reason: Annotated[str, typer.Option()] = "",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a challenger the champion."""
    with connected(url, actor, key) as client:
        answer = client.post(f"/v1/deployments/{deployment}/promote", {"version": version, "reason": reason})
    wrote(answer, as_json, f"{deployment}: version {version} is champion")


def rollback(
    deployment: str,
    reason: Annotated[str, typer.Option()] = "",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Go back to what answered before the last promotion."""
    with connected(url, actor, key) as client:
        answer = client.post(f"/v1/deployments/{deployment}/rollback", {"reason": reason})
    wrote(answer, as_json, f"{deployment} rolled back")


def traffic(
    deployment: str,
    champion: Annotated[int | None, typer.Option(help="The version that has the rest; else it stays.")] = None,
    challenger: Annotated[list[str] | None, typer.Option(help="VERSION=PERCENT; may be given again.")] = None,
    shadow: Annotated[list[int] | None, typer.Option(help="Version asked beside; may be given again.")] = None,
    sticky_by: Annotated[str | None, typer.Option(help="`entity`, or an input that keeps its version.")] = None,
    reason: Annotated[str, typer.Option()] = "",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say who answers, with which share, and who is asked beside. Whoever is not named has no part in it any more."""
    shares = [_share(one) for one in challenger or []]
    with connected(url, actor, key) as client:
        known = client.get(f"/v1/deployments/{deployment}") if champion is None else {"champion": champion}
        body = {"champion": known["champion"], "challengers": shares, "shadows": shadow or [], "reason": reason}
        answer = client.put(
            f"/v1/deployments/{deployment}/traffic", body | ({"sticky_by": sticky_by} if sticky_by else {})
        )
    told = ", ".join(f"version {one['version']} {one['percent']:g} %" for one in shares) or "nobody else"
    wrote(answer, as_json, f"{deployment}: champion {known['champion']}, {told}")


def status(
    deployment: str,
    champion: Annotated[int | None, typer.Option(help="Exit 1 unless this version is the champion.")] = None,
    ready: Annotated[bool, typer.Option("--ready", help="Exit 1 unless all with a share can answer.")] = False,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show what a deployment runs, and let a pipeline check it. Exit 0 as asked for, 1 not so, 2 could not tell."""
    with connected(url, actor, key) as client:
        answer = client.get(f"/v1/deployments/{deployment}")
        answer["ready"] = _ready(client, deployment) if ready else None
    show(answer, as_json, lambda: _table(answer))
    wrong = champion is not None and answer["champion"] != champion
    if wrong or (ready and answer["ready"] is not True):
        raise typer.Exit(NO)


def _ready(client: Client, deployment: str) -> bool:
    try:
        client.get(f"/v2/models/{deployment}/ready")
    except ProblemError as problem:
        if problem.status != 503:
            raise
        tell(problem)
        return False
    return True


def _table(answer: dict[str, Any]) -> None:
    traffic = answer["traffic"]
    title = f"{answer['name']}: {answer['model']} in {answer['environment']}, {answer['state']}"
    table = Table("version", "role", "share", title=escape(title), title_justify="left")
    rest = 100.0 - sum(one["percent"] for one in traffic["challengers"])
    table.add_row(str(traffic["champion"]), "champion", f"{rest:g} %")
    for one in traffic["challengers"]:
        table.add_row(str(one["version"]), "challenger", f"{one['percent']:g} %")
    for version in traffic["shadows"]:
        table.add_row(str(version), "shadow", "")
    console.print(table)
    if answer.get("canary_state"):
        console.print(f"canary of version {answer['canary']['version']}: {answer['canary_state']}")
    console.print(f"[dim]champion since {answer['champion_since']}, by {escape(answer['champion_by'])}[/dim]")


def _share(text: str) -> dict[str, Any]:
    version, _, percent = text.partition("=")
    try:
        return {"version": int(version), "percent": float(percent)}
    except ValueError:
        fail(f"--challenger takes VERSION=PERCENT, not {text}", UNKNOWN)
