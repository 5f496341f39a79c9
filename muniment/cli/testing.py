"""`muniment test`: the tests declared beside a model, run against its bundle and recorded as evidence."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import unquote, urlsplit

import typer
from rich.table import Table

from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import NO, UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show
from muniment.client import Client
from muniment.errors import ProblemError

if TYPE_CHECKING:
    from muniment.packaging.bundle import Bundle
    from muniment.testing.checks import Found


def add(app: typer.Typer) -> None:
    app.command(name="test")(run_tests)


def run_tests(
    bundle: Annotated[Path, typer.Argument(help="A bundle of `muniment package`.")],
    data: Annotated[list[str] | None, typer.Option(help="NAME=FILE of a data set; may be given again.")] = None,
    model: Annotated[str | None, typer.Option(help="Record the evidence for a version of this model.")] = None,
    version: Annotated[int | None, typer.Option(help="That version; its artifact must be this bundle.")] = None,
    champion: Annotated[
        Path | None, typer.Option(help="The champion's bundle; else the version of that alias.")
    ] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Run the tests that a bundle declares. Exit 0 all passed, 1 one failed, 2 one could not be told (and nothing is
    recorded)."""
    if (model is None) != (version is None):
        fail("Give --model and --version together, or neither.", UNKNOWN)
    if model is None or version is None:
        found, _ = _ran(bundle, data or [], _read(champion) if champion else None)
        _end(found, None, as_json)
        return
    with connected(url, actor, key) as client:
        other = _read(champion) if champion else _champion(client, model, version)
        found, digests = _ran(bundle, data or [], other)
        _same(client, model, version, _read(bundle))
        for one in found:
            report = f"{one.reason} Data: {', '.join(f'{name} sha256 {digest}' for name, digest in digests.items())}"
            body = {"kind": one.evidence, "name": one.name, "passed": one.passed, "metrics": one.figures}
            client.post(f"/v1/models/{model}/versions/{version}/evidence", body | {"report": report})
    _end(found, f"{model} version {version}", as_json)


def _ran(path: Path, data: list[str], champion: "Bundle | None") -> tuple[list["Found"], dict[str, str]]:
    from muniment.packaging import CannotPackage, NotABundle
    from muniment.testing.running import Running

    pairs = [one.partition("=") for one in data]
    try:
        running = Running(path, {name: Path(file) for name, _, file in pairs}, champion)
        if not running.declared.tests:
            raise CannotPackage("The bundle declares no tests; give them to `muniment package --tests`.")
        return running.run(), running.digests()
    except (CannotPackage, NotABundle, OSError) as error:
        fail(f"{path}: {error}", UNKNOWN)
        raise AssertionError from error


def _end(found: list["Found"], recorded: str | None, as_json: bool) -> None:
    passed = all(one.passed for one in found)
    answer: dict[str, Any] = {"passed": passed, "recorded": recorded, "tests": [_told(one) for one in found]}

    def text() -> None:
        table = Table("", "test", "evidence", "found")
        for one in found:
            mark = "[green]✓[/green]" if one.passed else "[red]✗[/red]"
            table.add_row(mark, one.name, one.evidence, one.reason)
        console.print(table)
        if recorded:
            console.print(f"recorded as evidence of {recorded}")

    show(answer, as_json, text)
    raise typer.Exit(0 if passed else NO)


def _told(one: "Found") -> dict[str, Any]:
    return {"name": one.name, "kind": one.evidence, "passed": one.passed, "reason": one.reason, "metrics": one.figures}


def _same(client: Client, model: str, version: int, bundle: "Bundle") -> None:
    """Evidence is about the bytes that were registered, and about no others."""
    digest = client.get(f"/v1/models/{model}/versions/{version}")["artifact"]["sha256"]
    if digest != bundle.sha256:
        fail(
            f"{model} version {version} is {digest}, and this bundle is {bundle.sha256}. Nothing was recorded.", UNKNOWN
        )


def _champion(client: Client, model: str, version: int) -> "Bundle | None":
    """The bundle of the version that the alias `champion` points at; None where it points nowhere or at this one."""
    number = client.get(f"/v1/models/{model}/aliases/champion")["version"]
    if number is None or number == version:
        return None
    try:
        artifact = client.get(f"/v1/models/{model}/versions/{number}")["artifact"]
    except ProblemError as problem:
        fail(f"The champion, version {number}, cannot be read: {problem}", UNKNOWN)
        raise AssertionError from problem
    parts = urlsplit(artifact["uri"])
    if parts.scheme != "file":
        fail(f"The champion lies at {artifact['uri']}; fetch it and give it with --champion.", UNKNOWN)
    found = _read(Path(unquote(parts.path)))
    if found.sha256 != artifact["sha256"]:
        fail(f"The champion's bundle at {artifact['uri']} is not what was registered.", UNKNOWN)
    return found


def _read(path: Path) -> "Bundle":
    from muniment.packaging import Bundle, NotABundle

    try:
        return Bundle.read(path)
    except (OSError, NotABundle) as error:
        fail(f"{path}: {error}", UNKNOWN)
        raise AssertionError from error
