"""The command line. Exit codes: 0 done (or allowed), 1 the answer is no, 2 it could not be told."""

from muniment.cli.main import app

__all__ = ["app", "main"]


def main() -> None:
    """The entry point `muniment`."""
    app()
