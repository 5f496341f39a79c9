"""Commands of those who keep it running: dead letters."""

from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, Actor, AsJson, Key, Url, connected, console, show
from muniment.client import Client
from muniment.routes import ServiceUrls

dead_letters = typer.Typer(help="What could not be applied: list, replay.", no_args_is_help=True)

Consumer = Annotated[str | None, typer.Option(help="Only of this consumer, such as registry.views.")]
_COLUMNS = ("consumer", "topic", "partition", "offset", "type", "reason")


def add(app: typer.Typer) -> None:
    app.command()(replay)


@dead_letters.command("list")
def listed(
    consumer: Consumer = None, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False
) -> None:
    """List the dead letters of every service."""
    with connected(url, actor, key) as client:
        answers = [client.get(f"{base}/v1/dead-letters", consumer=consumer) for base in _bases(client, consumer)]
    items = [item for answer in answers for item in answer["items"]]
    table = Table(*_COLUMNS)
    for item in items:
        table.add_row(*(escape(str(item[name])) for name in _COLUMNS))
    show({"items": items, "next": None}, as_json, lambda: console.print(table if items else "No dead letters."))


@dead_letters.command("replay")
def replay(
    consumer: Consumer = None, url: Url = URL, actor: Actor = None, key: Key = None, as_json: AsJson = False
) -> None:
    """Apply the dead letters again, once their cause is gone. Exit 1 where some still wait."""
    body = {"consumer": consumer} if consumer else {}
    with connected(url, actor, key) as client:
        answers = [client.post(f"{base}/v1/dead-letters:replay", body) for base in _bases(client, consumer)]
    totals: dict[str, Any] = {name: sum(one[name] for one in answers) for name in ("applied", "failed", "waiting")}
    totals["consumers"] = [one for answer in answers for one in answer["consumers"]]
    line = f"{totals['applied']} applied, {totals['failed']} failed, {totals['waiting']} still waiting"
    show(totals, as_json, lambda: console.print(line))
    raise typer.Exit(NO if totals["waiting"] else 0)


def _bases(client: Client, consumer: str | None) -> list[str]:
    """Prefixes that name each service to ask; one empty prefix where all stand behind one URL."""
    if isinstance(client.urls, str):
        return [""]
    services = list(ServiceUrls(client.urls).bases())
    wanted = consumer.split(".", 1)[0] if consumer else None
    return [f"{service}:" for service in services if wanted in (None, service)]
