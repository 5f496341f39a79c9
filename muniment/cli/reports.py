"""Commands of auditors: report, export, export-events."""

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import typer

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, Key, Url, connected, console, errors, fail
from muniment.client import Client

At = Annotated[str | None, typer.Option(help="What was true then (RFC 3339).")]
KnownAt = Annotated[str | None, typer.Option(help="As it was known then (RFC 3339).")]
Output = Annotated[Path | None, typer.Option("-o", "--output", help="The file to write; without it, standard output.")]
FORMATS = ("json", "html", "pdf")
STANDARDS = ("prov", "openlineage", "cyclonedx")


def add(app: typer.Typer) -> None:
    app.command()(report)
    app.command()(export)
    app.command("export-events")(export_events)


def report(
    model: Annotated[str | None, typer.Argument(help="The model; without it, the inventory of all.")] = None,
    at: At = None,
    known_at: KnownAt = None,
    format_: Annotated[
        str | None, typer.Option("--format", help="json, html or pdf; default by the file's name.")
    ] = None,
    output: Output = None,
    issue: Annotated[bool, typer.Option("--issue", help="Keep it and put its digest on record.")] = False,
    reason: Annotated[str, typer.Option(help="Why it is issued.")] = "",
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
) -> None:
    """Report on a model, or on all, as of any moment: SR 26-2, EU AI Act, model card."""
    wanted = format_ or (output.suffix.removeprefix(".") if output and output.suffix else "json")
    if wanted not in FORMATS:
        fail(f"'{wanted}' is no format of a report: use {', '.join(FORMATS)}", UNKNOWN)
    path = f"/v1/reports/{model}" if model else "/v1/reports"
    with connected(url, actor, key) as client:
        if issue:
            body: dict[str, Any] = {"at": at, "known_at": known_at, "formats": [wanted], "reason": reason}
            answer = client.post(path, {name: value for name, value in body.items() if value is not None})
            sha256 = answer["files"][0]["sha256"]
            errors.print(f"report {answer['report']}, number {answer['number']}, SHA-256 {sha256}", highlight=False)
            data = client.request("GET", f"{answer['url']}/{wanted}", query={"after": answer["event_id"]}).content
        else:
            query = {"at": at, "known_at": known_at, "format": wanted}
            data = client.request("GET", path, query=query).content
    write(data, output)


def export(
    standard: Annotated[str, typer.Argument(help="prov, openlineage or cyclonedx.")],
    model: str,
    at: At = None,
    known_at: KnownAt = None,
    output: Output = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
) -> None:
    """Export a model's lineage as W3C PROV, OpenLineage events or a CycloneDX bill of materials."""
    if standard not in STANDARDS:
        fail(f"'{standard}' is no export: use {', '.join(STANDARDS)}", UNKNOWN)
    with connected(url, actor, key) as client:
        query = {"at": at, "known_at": known_at}
        answer = client.request("GET", f"/v1/export/{standard}/{model}", query=query)
    if "muniment-truncated" in answer.headers:
        errors.print(f"Not all of it: {answer.headers['muniment-truncated']}", highlight=False)
    write(answer.content, output)


def export_events(
    output: Annotated[Path, typer.Option("-o", "--output", help="The Parquet file to write.")],
    type_: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    at: At = None,
    known_at: KnownAt = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
) -> None:
    """Export the event log as Parquet, for DuckDB and others."""
    with connected(url, actor, key) as client:
        size = _download(client, "/v1/export/events", {"type": type_, "at": at, "known_at": known_at}, output)
    console.print(f"{output}: {size:,} bytes", highlight=False)


def _download(client: Client, path: str, query: dict[str, str | None], target: Path) -> int:
    """Write an answer to a file as it comes; the file appears whole or not at all."""
    draft, size = target.with_name(target.name + ".part"), 0
    with ExitStack() as stack:
        pieces = stack.enter_context(client.streamed(path, query))
        sink = stack.enter_context(draft.open("wb"))
        for piece in pieces:
            size += sink.write(piece)
    draft.replace(target)
    return size


def write(data: bytes, output: Path | None) -> None:
    """Bytes into a file, or to standard output. Exit 1 where the file cannot be written."""
    if output is None:
        sys.stdout.buffer.write(data)
        return
    try:
        output.write_bytes(data)
    except OSError as error:
        fail(f"{output}: {error.strerror}", NO)
    errors.print(f"{output}: {len(data):,} bytes", highlight=False)
