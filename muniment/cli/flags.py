"""`muniment flags`: many flags at once, what becomes of each, and `muniment notices`: what the caller is told."""

import time
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show, wrote
from muniment.client import Client

app = typer.Typer(help="Flags: many at once, triage, answers.", no_args_is_help=True)

POLL_SECONDS = 0.2
_TYPES = {".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
_BULK = "/v1/flags:bulk"
_COLUMNS = ("id", "state", "severity", "category", "deployment", "version", "predictions", "raised_by", "due")

FlagId = Annotated[str, typer.Argument(metavar="FLAG", help="The flag's id.")]
Comment = Annotated[str, typer.Option(help="In plain words.")]
Severity = Annotated[str | None, typer.Option(help="low, medium, high or critical.")]
Limit = Annotated[int, typer.Option(help="How many at most.")]
Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Until the job has ended.")]


def add(root: typer.Typer) -> None:
    root.command()(notices)
    root.add_typer(app, name="flags")


@app.command("list")
def listed(
    deployment: Annotated[str | None, typer.Option()] = None,
    version: Annotated[int | None, typer.Option()] = None,
    state: Annotated[str | None, typer.Option(help="open, triaged, investigating, waiting, resolved …")] = None,
    severity: Severity = None,
    category: Annotated[str | None, typer.Option()] = None,
    limit: Limit = 100,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Flags, the newest first."""
    query = {"deployment": deployment, "version": version, "state": state, "severity": severity, "category": category}
    with connected(url, actor, key) as client:
        found = client.get("/v1/flags", limit=limit, **query)
    show(found, as_json, lambda: console.print(_table(found["items"]) if found["items"] else "No flags."))


@app.command("show")
def shown(flag: FlagId, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False) -> None:
    """One flag with all that was said about it."""
    with connected(url, actor, key) as client:
        found = client.get(f"/v1/flags/{flag}")

    def text() -> None:
        console.print(_table([found]))
        for one in found["history"]:
            comment = f": {one['comment']}" if one["comment"] else ""
            console.print(f"{one['at']}  {escape(one['type'])} by {escape(one['actor'])}{escape(comment)}")

    show(found, as_json, text)


@app.command()
def bulk(
    category: Annotated[str, typer.Option(help="What is wrong, as one word.")],
    deployment: Annotated[str | None, typer.Option(help="By query: of this deployment.")] = None,
    version: Annotated[int | None, typer.Option()] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Made at or after (RFC 3339).")] = None,
    to: Annotated[str | None, typer.Option(help="Made before (RFC 3339).")] = None,
    where: Annotated[
        list[str] | None, typer.Option(help='"COLUMN OP VALUE", such as "output.probability > 0.8"; all must hold.')
    ] = None,
    predictions: Annotated[Path | None, typer.Option(help="By list: a file with one id a line.")] = None,
    severity: Annotated[str, typer.Option(help="low, medium, high or critical.")] = "medium",
    expected: Annotated[str | None, typer.Option(help="What would have been right, as JSON.")] = None,
    comment: Comment = "",
    wait: Wait = True,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Flag up to 1,000,000 predictions, by a query or a list. Exit 1 where the job fails."""
    if (deployment is None) == (predictions is None):
        raise typer.BadParameter("name either --deployment (a query) or --predictions (a list)")
    body: dict[str, Any] = {"category": category, "severity": severity, "comment": comment}
    if expected is not None:
        body["expected"] = value_of(expected)
    if predictions is not None:
        body["predictions"] = [line.strip() for line in _text(predictions).splitlines() if line.strip()]
    else:
        query = {"deployment": deployment, "version": version, "from": from_, "to": to}
        given = {name: value for name, value in query.items() if value is not None}
        body["query"] = given | {"where": [condition(one) for one in where or []]}
    with connected(url, actor, key) as client:
        _ended(client, client.post(_BULK, body), wait, as_json)


@app.command()
def upload(
    file: Annotated[Path, typer.Argument(help="CSV or Parquet: prediction_id, and category, severity, expected.")],
    category: Annotated[str | None, typer.Option(help="Of rows that name none.")] = None,
    severity: Annotated[str, typer.Option(help="Of rows that name none.")] = "medium",
    comment: Comment = "",
    wait: Wait = True,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Flag what a file lists, up to 1,000,000 rows. Exit 1 where the job fails."""
    kind = _TYPES.get(file.suffix.lower())
    if kind is None:
        raise typer.BadParameter(f"{file} is none of {', '.join(_TYPES)}", param_hint="FILE")
    query = {"category": category, "severity": severity, "comment": comment}
    with connected(url, actor, key) as client:
        answer = client.request("POST", "/v1/flags:upload", query=query, content=_bytes(file), media_type=kind)
        _ended(client, answer.json(), wait, as_json)


@app.command()
def job(bulk: str, wait: Wait = False, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False):
    """How far a bulk is. Exit 1 where it failed."""
    with connected(url, actor, key) as client:
        _ended(client, {"job": f"{_BULK}/{bulk}"}, wait, as_json)


@app.command()
def triage(
    assignee: Annotated[str | None, typer.Option(help="Whose queue; default: all.")] = None,
    overdue: Annotated[bool, typer.Option(help="Only what should have been answered already.")] = False,
    limit: Limit = 100,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """What is still to be answered, the most urgent first."""
    with connected(url, actor, key) as client:
        found = client.get("/v1/triage", assignee=assignee, overdue=overdue, limit=limit)
    show(found, as_json, lambda: console.print(_table(found["items"]) if found["items"] else "Nothing waits."))


@app.command()
def assign(
    flag: FlagId,
    assignee: str,
    severity: Severity = None,
    state: Annotated[str, typer.Option(help="triaged, investigating or waiting.")] = "triaged",
    due: Annotated[str | None, typer.Option(help="Until when (RFC 3339).")] = None,
    comment: Comment = "",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Give a flag to somebody to answer."""
    body = {"assignee": assignee, "severity": severity, "state": state, "due": due, "comment": comment}
    given = {name: value for name, value in body.items() if value is not None}
    with connected(url, actor, key) as client:
        wrote(client.post(f"/v1/flags/{flag}/triage", given), as_json, f"flag {flag} is {assignee}'s, {state}")


@app.command()
def comment(
    flag: FlagId, text: str, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Say something about a flag."""
    with connected(url, actor, key) as client:
        wrote(client.post(f"/v1/flags/{flag}/comments", {"comment": text}), as_json, f"said about flag {flag}")


@app.command()
def merge(
    flag: FlagId,
    into: str,
    comment: Comment = "",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say that a flag says the same as another, with which it is answered."""
    with connected(url, actor, key) as client:
        answer = client.post(f"/v1/flags/{flag}/merge", {"into": into, "comment": comment})
    wrote(answer, as_json, f"flag {flag} went into {into}")


@app.command()
def resolve(
    flag: FlagId,
    resolution: Annotated[str, typer.Argument(help="label_corrected, model_defect, data_defect, works_as_intended.")],
    comment: Comment,
    label: Annotated[float | None, typer.Option(help="What came true, for label_corrected.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Answer the expert."""
    body = {"resolution": resolution, "comment": comment} | ({} if label is None else {"label": label})
    with connected(url, actor, key) as client:
        wrote(client.post(f"/v1/flags/{flag}/resolve", body), as_json, f"flag {flag} is resolved: {resolution}")


def notices(
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as they are made, until Ctrl-C.")] = False,
    limit: Limit = 20,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """What became of the caller's flags, and what was said about those they have to answer."""
    with connected(url, actor, key) as client:
        found = client.get("/v1/notices", limit=limit)["items"]
        if not follow and as_json:
            show({"items": found}, as_json, lambda: None)
            return
        for one in reversed(found):
            _told(one, as_json)
        if not follow:
            return
        seen = {one["event_id"] for one in found}
        try:
            for event in client.events("/v1/notices/stream", found[0]["event_id"] if found else None):
                if event.id not in seen:
                    _told(event.data, as_json)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def condition(text: str) -> dict[str, Any]:
    """`COLUMN OP VALUE` as the API takes it; a value that is no JSON is a text."""
    parts = text.split(None, 2)
    if len(parts) != 3:
        raise typer.BadParameter(f"'{text}' is not 'COLUMN OP VALUE'")
    return {"column": parts[0], "op": parts[1], "value": value_of(parts[2])}


def value_of(text: str) -> Any:
    """JSON, or the text itself where it is none."""
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _ended(client: Client, asked: dict[str, Any], wait: bool, as_json: bool) -> None:
    told = client.get(asked["job"])
    while wait and told["state"] not in ("completed", "failed"):
        time.sleep(POLL_SECONDS)
        told = client.get(asked["job"])
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("looked", "flagged", "pending", "refused"))
    line = f"bulk {told['id']} {told['state']}: {counts}"
    reason = f"\n{escape(told['reason'])}" if told.get("reason") else ""
    show(told, as_json, lambda: console.print(f"{line}{reason}"))
    raise typer.Exit(NO if told["state"] == "failed" else 0)


def _table(items: list[dict[str, Any]]) -> Table:
    table = Table(*_COLUMNS)
    for item in items:
        table.add_row(*(escape(str(item[name])) if item[name] is not None else "" for name in _COLUMNS))
    return table


def _told(notice: dict[str, Any], as_json: bool = False) -> None:
    if as_json:
        console.print_json(data=notice, indent=None)
    else:
        line = f"{notice['at']}  {escape(notice['text'])}  [dim]flag {escape(notice['flag'])}[/dim]"
        console.print(line, highlight=False, soft_wrap=True)


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        fail(f"{file}: {error}", UNKNOWN)
        raise AssertionError from error


def _text(file: Path) -> str:
    return _bytes(file).decode(errors="replace")
