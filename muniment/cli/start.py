"""`muniment up`, `muniment demo`, and `verify-views` and `rebuild-views` of what they keep."""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from muniment.cli.options import UNKNOWN, AsJson, fail

Port = Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")]
DataDir = Annotated[Path, typer.Option(help="Where everything is kept.")]
EnvDataDir = Annotated[Path, typer.Option(envvar="MUNIMENT_DATA_DIR", help="Where everything is kept.")]


def add(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(demo)
    app.command()(verify_views)
    app.command()(rebuild_views)


def up(
    port: Port = 8080,
    data_dir: EnvDataDir = Path(".muniment"),
    host: Annotated[
        str, typer.Option(envvar="MUNIMENT_HOST", help="Others than loopback need API keys.")
    ] = "127.0.0.1",
) -> None:
    """Bring up the whole system on this machine: five services, PostgreSQL and Valkey, on one port."""
    from muniment.embedded.folder import CannotStart
    from muniment.embedded.system import run

    try:
        code = run(data_dir, host, port)
    except CannotStart as error:
        fail(str(error), 1)
    else:
        raise typer.Exit(code)


def demo(
    once: Annotated[bool, typer.Option("--once", help="End after the summary.")] = False,
    port: Port = 8080,
    data_dir: DataDir = Path(".muniment/demo"),
) -> None:
    """Play a year of real flights through the embedded system and tell the story. Exit 0 only if every figure held."""
    from muniment.demo.run import run

    raise typer.Exit(run(data_dir, port, once=once))


def verify_views(
    data_dir: EnvDataDir = Path(".muniment"),
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be given again.")] = None,
    record: Annotated[bool, typer.Option(help="Put what is found on record, as an event of each service.")] = True,
    as_json: AsJson = False,
) -> None:
    """Replay the log of an embedded system from zero, beside it or while it is down, and compare the views of all
    services, row by row. Exit 0 equal, 1 different (the first difference is shown), 2 could not tell."""
    from muniment.embedded.folder import CannotStart
    from muniment.embedded.verifying import verify
    from shared.runtime.checking import CODES, gravest
    from shared.runtime.checking import as_json as written

    try:
        outcomes = verify(data_dir, service or (), None if as_json else print, record)
    except CannotStart as error:
        fail(str(error), UNKNOWN)
    else:
        if as_json:
            print(written(outcomes))
        raise typer.Exit(CODES[gravest(outcomes)])


def rebuild_views(
    data_dir: EnvDataDir = Path(".muniment"),
    service: Annotated[list[str] | None, typer.Option(help="Only this service; may be given again.")] = None,
    processes: Annotated[
        int, typer.Option(min=1, help="That fill them, each from topics of its own; default: one a core.")
    ] = os.cpu_count() or 1,
) -> None:
    """Empty the views of an embedded system and fill them from the log, beside it or while it is down. Exit 1 where
    they could not be filled."""
    from muniment.embedded.folder import CannotStart
    from muniment.embedded.rebuilding import rebuild
    from shared.runtime.progress import Told

    def tell(name: str, told: Told) -> None:
        over = told.records >= told.of
        if sys.stderr.isatty():
            print(f"\r\x1b[K{name}: {told}", end="\n" if over else "", file=sys.stderr, flush=True)
        elif over:
            print(f"{name}: {told}", file=sys.stderr, flush=True)

    try:
        rebuild(data_dir, service or (), processes, tell)
    except CannotStart as error:
        fail(str(error), 1)
