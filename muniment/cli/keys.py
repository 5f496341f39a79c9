"""`muniment keys`: API keys. A key is shown once; the file keeps only its hash."""

from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.table import Table

from muniment.cli.options import AsJson, console, fail, show
from shared.runtime.identity import Role, add_key

app = typer.Typer(help="API keys: create, list.", no_args_is_help=True)

KeyFile = Annotated[Path, typer.Option("--file", envvar="MUNIMENT_API_KEYS", help="The key file.")]
_DEFAULT = Path(".muniment/api-keys")


@app.command()
def create(
    actor: Annotated[str, typer.Argument(help="In whose name the key acts.")],
    role: Annotated[list[Role], typer.Option("--role", help="What it may do; repeat for more.")],
    not_alias: Annotated[
        list[str] | None, typer.Option(help="An alias of models that it may not move, whatever its roles; repeatable.")
    ] = None,
    file: KeyFile = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Create a key, show it once, and keep its hash in the key file."""
    try:
        key = add_key(file, actor, role, not_alias or ())
    except (ValueError, OSError) as error:
        fail(str(error), 1)
        return
    answer = {"key": key, "actor": actor, "roles": sorted(role), "not_aliases": sorted(not_alias or ())}
    answer["file"] = str(file)
    show(answer, as_json, lambda: console.print(key, highlight=False, soft_wrap=True))


@app.command("list")
def listed(file: KeyFile = _DEFAULT, as_json: AsJson = False) -> None:
    """List the keys of a key file, without the keys themselves."""
    lines = file.read_bytes().splitlines() if file.exists() else []
    entries = [orjson.loads(line) for line in lines if line.strip()]
    items = [{name: entry.get(name, []) for name in ("id", "actor", "roles", "not_aliases")} for entry in entries]
    table = Table("id", "actor", "roles", "not aliases")
    for item in items:
        table.add_row(item["id"], item["actor"], ", ".join(item["roles"]), ", ".join(item["not_aliases"]))
    show({"items": items, "next": None}, as_json, lambda: console.print(table))
