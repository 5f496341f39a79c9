"""Commands about single predictions and many: explain, export-predictions, retention."""

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import Actor, AsJson, Key, Url, connected, console, show

_SUFFIX = {"parquet": ".parquet", "ndjson": ".ndjson"}


def add(app: typer.Typer) -> None:
    app.command()(explain)
    app.command("export-predictions")(export_predictions)
    app.command()(forget)


def explain(
    prediction_id: str,
    output: Annotated[str | None, typer.Option(help="Output to explain; default: the first number.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say why a prediction came out as it did."""
    with connected(url, actor, key) as client:
        answer = client.get(f"/v1/predictions/{quote(prediction_id, safe='')}/explanation", output=output)
    show(answer, as_json, lambda: _explained(answer))


def export_predictions(
    deployment: str,
    file: Annotated[Path | None, typer.Option("--file", "-o", help="Where to; default: DEPLOYMENT.FORMAT.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Made at or after (RFC 3339).")] = None,
    to: Annotated[str | None, typer.Option(help="Made before (RFC 3339).")] = None,
    version: Annotated[int | None, typer.Option()] = None,
    segment: Annotated[str | None, typer.Option()] = None,
    entity: Annotated[str | None, typer.Option()] = None,
    output: Annotated[str | None, typer.Option(help="Which output the bounds speak of.")] = None,
    min_output: Annotated[float | None, typer.Option()] = None,
    max_output: Annotated[float | None, typer.Option()] = None,
    outcome: Annotated[str | None, typer.Option(help="any, known or unknown.")] = None,
    format: Annotated[str, typer.Option(help="parquet or ndjson.")] = "parquet",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Write a deployment's predictions with their outcomes into a file."""
    if format not in _SUFFIX:
        raise typer.BadParameter(f"{format} is none of {', '.join(_SUFFIX)}", param_hint="--format")
    target = file or Path(deployment.replace("/", "_") + _SUFFIX[format])
    query = {"from_": from_, "to": to, "version": version, "segment": segment, "entity": entity, "output": output}
    query |= {"min_output": min_output, "max_output": max_output, "outcome": outcome}
    partial = target.with_name(target.name + ".part")
    with connected(url, actor, key) as client, partial.open("wb") as sink:
        size = client.export(deployment, sink, format=format, **query)
    partial.replace(target)
    show({"file": str(target), "bytes": size}, as_json, lambda: console.print(f"{escape(str(target))}: {size:,} bytes"))


def _explained(answer: dict[str, Any]) -> None:
    for sentence in answer["summary"]:
        console.print(escape(sentence))
    table = Table("feature", "value", "typical", "contribution")
    for one in answer["contributions"]:
        table.add_row(one["feature"], str(one["value"]), str(one["typical"]), f"{one['contribution']:+.4g}")
    console.print(table)


def forget(
    subject: Annotated[str, typer.Argument(help="The person as predictions name them; - reads it from the input.")],
    reason: Annotated[str, typer.Option(help="Why; it goes on record and must not name the person.")],
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Destroy a person's key, so that nobody can read any more what the log holds of them encrypted. Exit 0 also where
    no key was held."""
    named = sys.stdin.readline().rstrip("\n") if subject == "-" else subject
    with connected(url, actor, key) as client:
        answer = client.post("/v1/subjects:forget", {"subject": named, "reason": reason})
    held = f"erased; the receipt is event {answer['event_id']}" if answer["events"] else "no key is held of that person"
    show(answer, as_json, lambda: console.print(escape(held)))
