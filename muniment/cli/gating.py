"""`muniment gate` for pipelines: a table for people, Markdown for a job's summary, JUnit for a server's report."""

import os
from pathlib import Path
from typing import Annotated, Any
from xml.sax.saxutils import escape as xml
from xml.sax.saxutils import quoteattr

import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, AsJson, Key, Url, connected, console, errors, show, tell
from muniment.errors import ProblemError

SUMMARY = "GITHUB_STEP_SUMMARY"
"""File that GitHub shows beside a job."""


def add(app: typer.Typer) -> None:
    app.command()(gate)


def gate(
    model: str,
    version: int,
    stage: Annotated[str, typer.Option(help="staging or production.")] = "production",
    at: Annotated[str | None, typer.Option(help="As it was on record then (RFC 3339).")] = None,
    junit: Annotated[Path | None, typer.Option(help="Write the rules as JUnit XML, a test case each.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Ask whether a version may go to a stage. Exit 0 allowed, 1 not allowed, 2 could not tell."""
    with connected(url, actor, key) as client:
        try:
            answer = client.get(f"/v1/models/{model}/versions/{version}/gate", stage=stage, at=at)
        except ProblemError as problem:
            tell(problem)
            raise typer.Exit(UNKNOWN) from problem
    _reported(answer, junit)
    show(answer, as_json, lambda: _table(answer))
    raise typer.Exit(0 if answer["allowed"] else NO)


def _table(answer: dict[str, Any]) -> None:
    verdict = "[green]allowed[/green]" if answer["allowed"] else "[red]not allowed[/red]"
    console.print(f"{escape(_title(answer))}: {verdict}")
    table = Table("", "rule", "reason", title_justify="left")
    for rule in answer["rules"]:
        mark = "[green]✓[/green]" if rule["passed"] else "[red]✗[/red]"
        table.add_row(mark, escape(rule["rule"]), escape(rule["reason"]))
    console.print(table)
    if answer.get("until"):
        console.print(f"[dim]time alone may change this from {answer['until']} on[/dim]")


def _reported(answer: dict[str, Any], junit: Path | None) -> None:
    try:
        if junit is not None:
            junit.write_text(junit_of(answer))
        if summary := os.environ.get(SUMMARY):
            with Path(summary).open("a") as file:
                file.write(markdown_of(answer))
    except OSError as error:
        errors.print(f"[red]The report was not written: {escape(str(error))}[/red]")
        raise typer.Exit(UNKNOWN) from error


def markdown_of(answer: dict[str, Any]) -> str:
    """The gate as a table of Markdown."""
    verdict = "allowed" if answer["allowed"] else "**not allowed**"
    rows = [
        f"| {'✅' if one['passed'] else '❌'} | `{one['rule']}` | {one['reason'].replace('|', '&#124;')} |"
        for one in answer["rules"]
    ]
    return "\n".join([f"### {_title(answer)}: {verdict}", "", "| | rule | reason |", "|---|---|---|", *rows, ""]) + "\n"


def junit_of(answer: dict[str, Any]) -> str:
    """The gate as JUnit XML: a test case for each rule, a failure for each that does not hold."""
    failed = sum(not one["passed"] for one in answer["rules"])
    cases = [
        f"  <testcase classname={quoteattr(answer['stage'])} name={quoteattr(one['rule'])}>"
        + ("" if one["passed"] else f"<failure message={quoteattr(one['reason'])}>{xml(one['reason'])}</failure>")
        + "</testcase>"
        for one in answer["rules"]
    ]
    head = f'<testsuite name={quoteattr(_title(answer))} tests="{len(cases)}" failures="{failed}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *cases, "</testsuite>", ""])


def _title(answer: dict[str, Any]) -> str:
    return f"{answer['model']} version {answer['version']} in {answer['stage']}"
