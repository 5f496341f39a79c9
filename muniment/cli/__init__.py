"""The command line. Exit codes: 0 done (or allowed), 1 the answer is no, 2 it could not be told."""

import sys

from muniment.cli.main import app
from muniment.cli.options import UNKNOWN
from shared.runtime.settings import BadSetting

__all__ = ["app", "main"]


def main() -> None:
    """The entry point `muniment`."""
    try:
        app()
    except BadSetting as error:
        print(f"muniment: {error}", file=sys.stderr)
        sys.exit(UNKNOWN)
