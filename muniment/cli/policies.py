"""`muniment policy`: what a stage demands, as a table to read, to change, and to try on the past."""

from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show, wrote

app = typer.Typer(help="Policies of gates: show, change, what-if.", no_args_is_help=True)

_DEMANDS = (
    *("evidence", "evidence_days", "approvals", "approval_days", "flags", "conditions_met", "four_eyes"),
    "goal_required",
)
Document = Annotated[Path, typer.Argument(help="JSON as in the API, or the XML of a DMN decision model.")]
Stage = Annotated[str, typer.Option(help="staging or production; of a JSON document its own.")]


@app.command(name="show")
def shown(
    stage: Annotated[str, typer.Argument(help="staging or production.")] = "production",
    version: Annotated[int | None, typer.Option(help="Another than the one in force.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """What a stage demands, as a decision table."""
    with connected(url, actor, key) as client:
        if version is None:
            found = [one for one in client.get("/v1/policies")["items"] if one["stage"] == stage]
            if not found:
                fail(f"There is no stage {stage}.", NO)
            policy = found[0]
        else:
            policy = client.get(f"/v1/policies/{stage}/versions/{version}")["policy"]
    show(policy, as_json, lambda: console.print(_table(policy)))


@app.command()
def change(
    document: Document,
    stage: Stage = "production",
    propose: Annotated[bool, typer.Option(help="Let a second person adopt it.")] = False,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Adopt a policy, or propose it where it takes two."""
    body = _read(document, stage)
    with connected(url, actor, key) as client:
        answer = client.post("/v1/policies", body | ({"propose": True} if propose else {}))
    state = answer.get("state", "was so already")
    proposal = f", proposal {answer['proposal']}" if answer.get("proposal") else ""
    wrote(answer, as_json, f"the policy for {body['stage']} {state}{proposal}")


@app.command(name="what-if")
def what_if(
    document: Document,
    stage: Stage = "production",
    model: Annotated[str | None, typer.Option(help="Only this model.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Try a policy on the past. Exit 0 where it would have stopped nothing, 1 where it would."""
    body = _read(document, stage) | ({"model": model} if model else {})
    with connected(url, actor, key) as client:
        answer = client.post("/v1/policies/what-if", body)
    show(answer, as_json, lambda: _tried(answer))
    raise typer.Exit(NO if answer["stopped"] else 0)


def _read(document: Path, stage: str) -> dict[str, Any]:
    try:
        data = document.read_bytes()
        if data.lstrip().startswith(b"<"):
            return {"stage": stage, "dmn": data.decode()}
        body = orjson.loads(data)
    except (OSError, ValueError) as error:
        fail(f"{document}: {error}", UNKNOWN)
        raise AssertionError from error
    if not isinstance(body, dict):
        fail(f"{document}: a policy is a JSON object", UNKNOWN)
    return {"stage": stage} | body


def _table(policy: dict[str, Any]) -> Table:
    """A row for what is always demanded, one for each row of its table; columns in which none demand are left out."""
    rules = policy["table"] or {"inputs": [], "rows": [], "hit": "collect"}
    others = [rules["default"]] if rules.get("default") else []
    demands = [name for name in _DEMANDS if any(_cell(one.get(name)) for one in (policy, *rules["rows"], *others))]
    inputs = [one["name"] for one in rules["inputs"]]
    title = f"{policy['stage']}, version {policy['version']} ({rules['hit']})"
    table = Table(*inputs, *demands, "note", title=title)
    note = escape(policy.get("comment") or "")
    table.add_row(*("any" for _ in inputs), *(_cell(policy.get(name)) for name in demands), note)
    for row in rules["rows"]:
        tests = [escape(row["when"].get(name, "-")) for name in inputs]
        table.add_row(*tests, *(_cell(row.get(name)) for name in demands), escape(row["annotation"]))
    for row in others:
        table.add_row(*("else" for _ in inputs), *(_cell(row.get(name)) for name in demands), escape(row["annotation"]))
    return table


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if value is None or value is False:
        return ""
    return "yes" if value is True else escape(str(value))


def _tried(answer: dict[str, Any]) -> None:
    console.print(f"{answer['releases']} releases and {answer['versions']} versions looked at")
    table = Table("", "model", "version", "when", "why")
    for name, mark in (("stopped", "[red]stopped[/red]"), ("kept_out", "kept out"), ("let_through", "let through")):
        for one in answer[name]:
            when = one.get("at") or one.get("opened_at") or one.get("would_open_at") or ""
            why = "; ".join(f"{rule['rule']}: {rule['reason']}" for rule in one["rules"])
            table.add_row(mark, escape(one["model"]), str(one["version"]), str(when), escape(why))
    console.print(table)
