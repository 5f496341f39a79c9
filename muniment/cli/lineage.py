"""Commands of those who follow things back and forth: lineage, dossier, touched, estate-diff."""

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table
from rich.tree import Tree

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show
from muniment.cli.reports import At, KnownAt, Output, write

DRAWN = {"mermaid": (".mmd", ".mermaid"), "svg": (".svg",), "json": (".json",)}


def add(app: typer.Typer) -> None:
    app.command()(lineage)
    app.command()(dossier)
    app.command()(touched)
    app.command("estate-diff")(estate_diff)


def lineage(
    kind: Annotated[str, typer.Argument(help="model, version, prediction, flag, deployment, dataset, …")],
    name: str,
    at: At = None,
    known_at: KnownAt = None,
    depth: Annotated[int | None, typer.Option(help="Edges from the start at most.")] = None,
    direction: Annotated[str | None, typer.Option(help="up, down or both.")] = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="tree, json, mermaid or svg; default by the file's name, else tree.")
    ] = None,
    output: Output = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Show where something comes from and what rests on it, as a tree or a picture."""
    wanted = "json" if as_json else format_ or _by_name(output)
    if wanted not in (*DRAWN, "tree"):
        fail(f"'{wanted}' is no format of a lineage: use tree, {', '.join(DRAWN)}", UNKNOWN)
    query = {"at": at, "known_at": known_at, "depth": depth, "direction": direction}
    path = f"/v1/lineage/{kind}/{quote(name)}"
    with connected(url, actor, key) as client:
        if wanted in ("mermaid", "svg") or output is not None:
            given = None if wanted == "tree" else wanted
            write(client.request("GET", path, query=query | {"format": given}).content, output)
            return
        answer = client.get(path, **query)
    show(answer, wanted == "json", lambda: console.print(lineage_tree(answer, f"{kind}/{name}")))


def dossier(
    prediction_id: str,
    at: At = None,
    known_at: KnownAt = None,
    format_: Annotated[str | None, typer.Option("--format", help="json or html; default by the file's name.")] = None,
    output: Output = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
) -> None:
    """All that concerns one prediction: inputs, answer, version, approvals, data, code, gates, outcome, flags."""
    wanted = format_ or (output.suffix.removeprefix(".") if output and output.suffix else "json")
    if wanted not in ("json", "html"):
        fail(f"'{wanted}' is no format of a dossier: use json or html", UNKNOWN)
    query = {"at": at, "known_at": known_at, "format": wanted}
    with connected(url, actor, key) as client:
        data = client.request("GET", f"/v1/dossier/{quote(prediction_id, safe='')}", query=query).content
    write(data, output)


def touched(
    kind: Annotated[str, typer.Argument(help="dataset, run, pipeline, goal, model, version or deployment")],
    name: str,
    at: At = None,
    known_at: KnownAt = None,
    limit: Annotated[int, typer.Option(min=1, help="Batches shown at most.")] = 100,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Which predictions a thing touched: the versions that came of it and the batches in which they answered."""
    with connected(url, actor, key) as client:
        answer = client.get(f"/v1/touched/{kind}/{quote(name)}", at=at, known_at=known_at, limit=limit)

    def text() -> None:
        for one in answer["sources"]:
            ends = f"{one['first']['time']} to {one['last']['time']}"
            console.print(f"{escape(one['kind'])} {escape(one['id'])}: batches from {ends}", highlight=False)
        table = Table("batch", "deployment", "version", "predictions", "from", "to", box=None)
        for one in answer["items"]:
            figures = (one["batch"], one["deployment"], one["version"], one["predictions"], one["from"], one["to"])
            table.add_row(*(escape(str(figure)) for figure in figures))
        console.print(table)
        if answer["next"]:
            console.print("[dim]There are more; ask for a greater --limit.[/dim]")

    show(answer, as_json, text)


def estate_diff(
    from_: Annotated[str, typer.Option("--from", help="The earlier instant (RFC 3339).")],
    to: Annotated[str | None, typer.Option(help="The later instant; default now.")] = None,
    known_from: Annotated[str | None, typer.Option(help="As known then; default as --known-to.")] = None,
    known_to: Annotated[str | None, typer.Option(help="As known then; default now.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """What was added to the estate, removed and changed between two instants, by whom."""
    query = {"from": from_, "to": to, "known_from": known_from, "known_to": known_to}
    with connected(url, actor, key) as client:
        answer = client.get("/v1/estate/diff", **query)

    def text() -> None:
        for sign, name in (("[green]+[/green]", "added"), ("[red]-[/red]", "removed")):
            for one in answer[name]:
                line = f"{sign} {escape(one['deployment'])}: {escape(one['model'])} version {one['version']}"
                console.print(line + _by(one["stated"]), highlight=False)
        for one in answer["changed"]:
            for change in one["changes"]:
                moved = f"{escape(str(change['what']))} from {change['from']} to {change['to']}"
                console.print(f"~ {escape(one['deployment'])}: {moved}{_by(change['stated'])}", highlight=False)

    show(answer, as_json, text)


def _by(stated: dict[str, Any] | None) -> str:
    if stated is None:
        return ""
    late = ", [yellow]backdated[/yellow]" if stated["backdated"] else ""
    return f" [dim]by {escape(stated['actor'])} on {stated['time']}[/dim]{late}"


def _by_name(output: Path | None) -> str:
    suffix = output.suffix if output is not None else ""
    return next((name for name, suffixes in DRAWN.items() if suffix in suffixes), "json" if output else "tree")


def lineage_tree(answer: dict[str, Any], root: str) -> Tree:
    """The graph as a tree from the node asked for, each node once."""
    around: dict[str, list[tuple[str, str]]] = {}
    for edge in answer["edges"]:
        around.setdefault(edge["src"], []).append((edge["relation"], edge["dst"]))
        around.setdefault(edge["dst"], []).append((f"← {edge['relation']}", edge["src"]))
    seen = {root}
    tree = Tree(escape(root))
    queue = [(root, tree)]
    while queue:
        node, branch = queue.pop(0)
        for relation, other in around.get(node, []):
            if other not in seen:
                seen.add(other)
                queue.append((other, branch.add(f"[dim]{escape(relation)}[/dim] {escape(other)}")))
    return tree
