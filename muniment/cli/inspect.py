"""Commands of those who look: flag, verify, replay, tail."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, Actor, AsJson, Key, Url, connected, console, show, wrote
from muniment.cli.proofs import offline
from muniment.client import Client
from muniment.errors import UnreachableError

POLL_SECONDS = 0.2
LATE = timedelta(seconds=5)
"""How far back events are asked for again: the audit may hear of one service's events later than of another's."""


def add(app: typer.Typer) -> None:
    for command in (flag, verify, tail):
        app.command()(command)


def flag(
    prediction_id: str,
    comment: Annotated[str, typer.Option(help="What is wrong, in plain words.")],
    category: Annotated[str, typer.Option()] = "wrong_prediction",
    severity: Annotated[str, typer.Option(help="low, medium, high or critical.")] = "medium",
    expected: Annotated[str | None, typer.Option(help="What would have been right.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Flag a prediction as wrong."""
    body: dict[str, Any] = {"prediction_id": prediction_id, "category": category, "severity": severity}
    body |= {"comment": comment} | ({"expected": expected} if expected is not None else {})
    with connected(url, actor, key) as client:
        answer = client.post("/v1/flags", body)
    wrote(answer, as_json, f"flag {answer['id']}")


def verify(
    bundle: Annotated[Path | None, typer.Option(help="A proof bundle to verify offline.")] = None,
    record: Annotated[Path | None, typer.Option(help="A folder of `muniment record` to verify offline.")] = None,
    parts: Annotated[str | None, typer.Option(help="A place of the ledger's cold parts to verify offline.")] = None,
    trusted: Annotated[str | None, typer.Option(help="Offline: the verifier key that you trust.")] = None,
    seen: Annotated[list[str] | None, typer.Option(help="Offline: file of a checkpoint seen before.")] = None,
    witness: Annotated[list[str] | None, typer.Option(help="Offline: verifier key of a witness.")] = None,
    shown: Annotated[bool, typer.Option("--show", help="Offline: show all that each event of a bundle says.")] = False,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Replay the log from zero beside the live views and the Merkle tree, and compare; or, offline, verify a proof
    bundle, a whole record or cold parts. Exit 1 where something differs."""
    if bundle or record or parts:
        offline(bundle, record, parts, trusted, seen or [], witness or [], shown)
    with connected(url, actor, key) as client:
        answer = run_verification(client)

    def text() -> None:
        result, colour = answer["result"], "green" if answer["outcome"] == "equal" else "red"
        console.print(f"[{colour}]{answer['outcome']}[/{colour}]: {result['events']} events, {result['rows']} rows")
        console.print(f"live {result['digest_live']}\nreplayed {result['digest_replayed']}")
        if tree := result.get("tree"):
            console.print(
                f"tree {tree['size']} leaves, {tree['checkpoints']} checkpoints, {tree['copies']} copies outside"
            )
        if answer["first_difference"]:
            console.print(escape(str(answer["first_difference"])))

    show(answer, as_json, text)
    raise typer.Exit(0 if answer["outcome"] == "equal" else NO)


def tail(
    type_: Annotated[str | None, typer.Option("--type", help="Only events of this type.")] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Follow the events as the audit records them, from now until Ctrl-C."""
    with connected(url, actor, key) as client:
        try:
            for event in _follow(client, type_):
                show_event(event, as_json)
        except KeyboardInterrupt:
            raise typer.Exit(0) from None


def run_verification(client: Client) -> dict[str, Any]:
    """Start a verification and wait for its result. Raises ProblemError, UnreachableError."""
    started = client.post("/v1/verifications")
    while True:
        found = client.get(f"/v1/verifications/{started['id']}")
        if found["result"]:
            return found
        if found["problem"]:
            raise UnreachableError(f"the verification could not be completed: {found['problem']}")
        time.sleep(POLL_SECONDS)


def show_event(event: dict[str, Any], as_json: bool) -> None:
    """One event as a line."""
    line = (
        f"{event['time']}  {escape(event['type']):<24} {escape(event['subject'])}  [dim]{escape(event['actor'])}[/dim]"
    )
    if as_json:
        console.print_json(data=event, indent=None)
    else:
        console.print(line, highlight=False, soft_wrap=True)


def _follow(client: Client, type_: str | None) -> Iterator[dict[str, Any]]:
    since, seen = datetime.now(UTC), set[str]()
    while True:
        found = list(client.pages("/v1/events", type=type_, recorded_from=since.isoformat()))
        yield from (event for event in found if event["id"] not in seen)
        if found:
            since = datetime.fromisoformat(found[-1]["recordedtime"]) - LATE
            seen = {event["id"] for event in found}
        time.sleep(POLL_SECONDS)
