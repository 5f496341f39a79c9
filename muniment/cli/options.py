"""What most commands share: where the system is, who commands, and how the answer is written."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.markup import escape

from muniment.client import Client
from muniment.errors import ProblemError, UnreachableError
from muniment.routes import urls_of

DEFAULT_URL = "http://127.0.0.1:8080"
NO, UNKNOWN = 1, 2

Url = Annotated[
    str, typer.Option("--url", envvar="MUNIMENT_URL", help="Base URL, or SERVICE=URL,SERVICE=URL for services apart.")
]
Actor = Annotated[str | None, typer.Option("--actor", envvar="MUNIMENT_ACTOR", help="In whose name (without keys).")]
Key = Annotated[str | None, typer.Option("--key", envvar="MUNIMENT_KEY", help="API key.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for scripts.")]

COLUMNS_IN_A_FILE = 300
"""Width of tables that go to a file or a pipe, where nobody said another one in COLUMNS."""


def _console(stderr: bool = False) -> Console:
    """Lines are left whole, so that scripts find what they look for."""
    found = Console(stderr=stderr, soft_wrap=True)
    if not found.is_terminal and "COLUMNS" not in os.environ:
        found.width = COLUMNS_IN_A_FILE
    return found


console = _console()
errors = _console(stderr=True)


@contextmanager
def connected(url: str, actor: str | None, key: str | None) -> Iterator[Client]:
    """A client for one command; its failures become a message and exit code 2, or 1 where the service said no."""
    client = Client(urls_of(url), actor, key, patience=5.0)
    try:
        yield client
    except UnreachableError as error:
        fail(str(error), UNKNOWN)
    except ProblemError as problem:
        tell(problem)
        raise typer.Exit(NO if problem.status < 500 else UNKNOWN) from problem
    finally:
        client.close()


def tell(problem: ProblemError) -> None:
    """A problem document for a person, on stderr."""
    document = problem.document
    errors.print(f"[red]{escape(str(document.get('title', 'Refused')))}[/red]: {escape(str(problem))}")
    if document.get("fix"):
        errors.print(escape(str(document["fix"])))
    for rule in document.get("rules", []):
        errors.print(rule_line(rule))
    for one in document.get("errors", []):
        errors.print(f"  {escape(str(one))}")


def fail(message: str, code: int) -> NoReturn:
    errors.print(f"[red]{escape(message)}[/red]")
    raise typer.Exit(code)


def rule_line(rule: dict[str, Any]) -> str:
    """One rule of a gate as a line."""
    mark = "[green]✓[/green]" if rule["passed"] else "[red]✗[/red]"
    return f"  {mark} {escape(rule['rule'])}: {escape(rule['reason'])}"


def show(answer: Any, as_json: bool, text: Callable[[], None]) -> None:
    """Print the answer as JSON, or let `text` print it for people."""
    if as_json:
        sys.stdout.write(orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        text()


def wrote(answer: dict[str, Any], as_json: bool, sentence: str) -> None:
    """Print what a write answered."""
    event = answer.get("event_id")
    show(answer, as_json, lambda: console.print(f"{escape(sentence)} [dim](event {event})[/dim]"))
