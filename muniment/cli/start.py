"""`muniment up` and `muniment demo`."""

from pathlib import Path
from typing import Annotated

import typer

from muniment.cli.options import fail

Port = Annotated[int, typer.Option(help="Port on 127.0.0.1; 0 takes a free one.")]
DataDir = Annotated[Path, typer.Option(help="Where everything is kept.")]


def add(app: typer.Typer) -> None:
    app.command()(up)
    app.command()(demo)


def up(
    port: Port = 8080,
    data_dir: Annotated[Path, typer.Option(envvar="MUNIMENT_DATA_DIR", help="Where everything is kept.")] = Path(
        ".muniment"
    ),
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
