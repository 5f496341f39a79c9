"""What the documents and examples tell people to type exists: commands with their options, settings, targets of make,
modules, and the files that they link."""

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from muniment.cli import app
from shared.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
EXAMPLES = [*sorted((ROOT / "examples").rglob("*.sh")), ROOT / "docker-compose.yml"]
OUTSIDE = {"MUNIMENT_PACKAGE", "MUNIMENT_URL", "MUNIMENT_KEY", "MUNIMENT_UID", "MUNIMENT_GID", "MUNIMENT_ACTOR"}
"""Read by the command line, the examples and Docker alone."""

WORDS = re.compile(r"(?<![\w/.@-])muniment((?: +(?:\"[^\"]*\"|'[^']*'|[^\s`#|&;()]+))+)")
"""`muniment` and the words behind it, up to what ends a command."""


def pages(*more: Path) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", [*PAGES, *more], ids=lambda page: str(page.relative_to(ROOT)))


def code(page: Path) -> list[str]:
    """What is set in a page as something to type: lines of code blocks, and spans."""
    text = page.read_text()
    if page.suffix != ".md":
        return text.replace("\\\n", " ").splitlines()
    blocks = re.findall(r"```\w*\n(.*?)```", text, re.DOTALL)
    spans = re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [*lines, *(" ".join(span.split()) for span in spans)]


def wrong(words: list[str]) -> str | None:
    """What of a command of `muniment` there is not."""
    command: Any = typer.main.get_command(app)
    while words and (commands := getattr(command, "commands", None)) and not words[0].startswith("-"):
        name = words.pop(0)
        if name not in commands:
            return f"command {name}"
        command = commands[name]
    known = {option for one in command.params for option in (*one.opts, *one.secondary_opts)} | {"--help", "-h"}
    options = [word.strip("[]").partition("=")[0] for word in words if re.match(r"\[?--?[a-z]", word)]
    return next((f"option {one}" for one in options if one not in known), None)


@pages(*EXAMPLES)
def test_every_command_exists_with_its_options(page: Path) -> None:
    for line in code(page):
        for found in WORDS.findall(line):
            words = shlex.split(found.replace("…", " "))
            if words and re.fullmatch(r"[a-z][a-z-]+", words[0]):
                assert wrong(words) is None, (line, wrong(shlex.split(found.replace("…", " "))))


@pages(*EXAMPLES)
def test_every_variable_is_a_setting(page: Path) -> None:
    named = set(re.findall(r"\bMUNIMENT_[A-Z_]*[A-Z]\b(?!_?…)", page.read_text())) - OUTSIDE
    assert [one for one in named if one.removeprefix("MUNIMENT_").lower() not in Settings.model_fields] == []


@pages()
def test_targets_of_make_and_modules_of_python_exist(page: Path) -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for line in code(page):
        assert [one for one in re.findall(r"(?:^|\s)make ([a-z-]+)", line) if one not in targets] == [], line
        for module in re.findall(r"python -m ([a-z_.]+)(?!\w)", line):
            assert find_spec(module.rstrip(".")) is not None, line


@pages()
def test_every_file_that_is_linked_exists(page: Path) -> None:
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
