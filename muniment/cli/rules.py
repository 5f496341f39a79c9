"""`muniment rule` and `muniment corrections`: what no prediction may say, and what experts corrected."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show, wrote

app = typer.Typer(help="Business rules that no prediction may break: adopt, list, show, retire.", no_args_is_help=True)
corrections = typer.Typer(help="Data sets of all that experts corrected: export, list, download.", no_args_is_help=True)

RuleName = Annotated[str, typer.Argument(metavar="RULE", help="The rule's name.")]
Deployment = Annotated[str | None, typer.Option(help="Only of this deployment.")]
_PATH = "/v1/corrections"


def add(root: typer.Typer) -> None:
    root.add_typer(app, name="rule")
    root.add_typer(corrections, name="corrections")


@app.command()
def adopt(
    rule: RuleName,
    document: Annotated[Path, typer.Argument(help="JSON as in the API: deployment, statement, table.")],
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Hold every prediction that is logged from now on to a rule; a change is its next version."""
    try:
        body = orjson.loads(document.read_bytes())
    except (OSError, ValueError) as error:
        fail(f"{document}: {error}", UNKNOWN)
        raise AssertionError from error
    if not isinstance(body, dict):
        fail(f"{document}: a rule is a JSON object", UNKNOWN)
    with connected(url, actor, key) as client:
        wrote(client.put(f"/v1/rules/{rule}", body), as_json, f"rule {rule} is in force")


@app.command("list")
def listed(
    deployment: Deployment = None, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Rules, retired ones too."""
    with connected(url, actor, key) as client:
        found = list(client.pages("/v1/rules", deployment=deployment))
    show({"items": found, "next": None}, as_json, lambda: console.print(_table(found) if found else "No rules."))


@app.command("show")
def shown(rule: RuleName, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False) -> None:
    """A rule and, day by day, how often it was violated."""
    with connected(url, actor, key) as client:
        found = client.get(f"/v1/rules/{rule}")

    def text() -> None:
        console.print(f"{escape(found['statement'])} [dim](version {found['version']}, {found['state']})[/dim]")
        table = Table("day", "version", "checked", "violated", "rate", "95 % interval")
        for day in found["days"]:
            span = "{:.4f} to {:.4f}".format(*day["interval"])
            counts = (f"{day['checked']:,}", f"{day['violated']:,}", f"{day['rate']:.4f}", span)
            table.add_row(day["day"], str(day["version"]), *counts)
        console.print(table)

    show(found, as_json, text)


@app.command()
def retire(
    rule: RuleName,
    reason: Annotated[str, typer.Option(help="Why, in plain words.")],
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Hold predictions to a rule no longer; its flags stay."""
    with connected(url, actor, key) as client:
        wrote(client.post(f"/v1/rules/{rule}/retire", {"reason": reason}), as_json, f"rule {rule} is retired")


@corrections.command()
def export(
    deployment: str,
    dataset: Annotated[str, typer.Argument(help="The data set of which this is the next version.")],
    file: Annotated[Path | None, typer.Option("--file", "-o", help="Download it to there, too.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Make a data set to train on of all labels that experts corrected; its lineage names each flag."""
    with connected(url, actor, key) as client:
        answer = client.post(_PATH, {"deployment": deployment, "dataset": dataset})
        if file is not None:
            file.write_bytes(client.request("GET", answer["path"]).content)
    into = f", into {file}" if file else ""
    said = f"{dataset} version {answer['version']}: {answer['rows']:,} rows of {len(answer['flags']):,} flags{into}"
    wrote(answer, as_json, said)


@corrections.command("list")
def exported(
    dataset: Annotated[str | None, typer.Option()] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Data sets of corrections, the newest first."""
    with connected(url, actor, key) as client:
        found = client.get(_PATH, dataset=dataset)
    table = Table("id", "dataset", "version", "rows", "at", "sha256")
    for one in found["items"]:
        table.add_row(*(escape(str(one[name])) for name in ("id", "dataset", "version", "rows", "at", "sha256")))
    show(found, as_json, lambda: console.print(table if found["items"] else "No data sets."))


@corrections.command()
def download(
    export: Annotated[str, typer.Argument(metavar="EXPORT", help="The data set's id.")],
    file: Annotated[Path, typer.Argument(help="Where to, as Parquet.")],
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
) -> None:
    """Fetch the Parquet file of a data set."""
    with connected(url, actor, key) as client:
        data = client.request("GET", f"{_PATH}/{export}/file").content
    file.write_bytes(data)
    console.print(f"{escape(str(file))}: {len(data):,} bytes")


def _table(items: list[dict[str, Any]]) -> Table:
    table = Table("rule", "version", "state", "deployment", "statement")
    for one in items:
        table.add_row(*(escape(str(one[name])) for name in ("rule", "version", "state", "deployment", "statement")))
    return table
