"""What holds for every component test."""

import sys

import pytest


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    """A terminal that cuts nothing off, however wide the one is that the tests run in."""
    if (options := sys.modules.get("muniment.cli.options")) is not None:
        monkeypatch.setattr(options.console, "width", 300)
