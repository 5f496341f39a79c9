"""`muniment package`: a model into a bundle; and what `muniment register` makes of one."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from muniment.cli.options import NO, UNKNOWN, AsJson, console, fail, show

SUFFIX = ".mbundle"


def add(app: typer.Typer) -> None:
    app.command()(package)


def package(
    source: Annotated[str, typer.Argument(help="ONNX or skops file, FILE.py:NAME of an estimator, or a pickle.")],
    sample: Annotated[Path, typer.Option(help="Parquet or CSV of what it was trained on.")],
    name: Annotated[str, typer.Option(help="The model's name.")],
    out: Annotated[Path | None, typer.Option(help="The bundle's file; NAME.mbundle where left out.")] = None,
    target: Annotated[str | None, typer.Option(help="A column of the sample that is no feature.")] = None,
    output: Annotated[str | None, typer.Option(help="How the score is called.")] = None,
    tolerance: Annotated[float, typer.Option(help="Largest difference between original and ONNX.")] = 1e-4,
    rows: Annotated[int, typer.Option(min=1, max=10_000, help="Rows of the sample that are kept.")] = 1_000,
    tests: Annotated[Path | None, typer.Option(help="YAML of the model's tests.")] = None,
    card: Annotated[Path | None, typer.Option(help="Markdown of the model card; written where left out.")] = None,
    description: Annotated[str, typer.Option()] = "",
    allow_pickle: Annotated[bool, typer.Option(help="Read a pickle, if a scan finds nothing dangerous.")] = False,
    as_json: AsJson = False,
) -> None:
    """Turn a model of scikit-learn, or an ONNX file, into a bundle, the same to the byte each time, and compare it with
    its original. Exit 0 packaged, 1 refused (too far from its original, a pickle, …)."""
    from muniment.packaging import CannotPackage, Options
    from muniment.packaging import package as packaged
    from muniment.packaging.sample import read_frame
    from muniment.packaging.sources import opened
    from muniment.testing.declared import check_tests

    options = Options(name, tolerance, rows, target, output, _text(tests), _text(card), description)
    try:
        if options.tests:
            check_tests(options.tests)
        made = packaged(opened(source, allow_pickle), read_frame(sample), options)
    except CannotPackage as error:
        fail(str(error), NO)
        raise AssertionError from error
    path = out or Path(f"{name}{SUFFIX}")
    path.write_bytes(made.data)
    bundle = made.bundle
    answer = {"bundle": str(path), "sha256": bundle.sha256, "bytes": bundle.size, "conversion": made.conversion}

    def text() -> None:
        console.print(f"{escape(str(path))} [dim]sha256 {bundle.sha256}, {bundle.size:,} bytes[/dim]")
        if made.conversion["compared"]:
            most, rows = made.conversion["max_difference"], made.conversion["rows"]
            console.print(
                f"ONNX ({made.conversion['precision']}) and original differ by at most {most:.3g} on {rows} rows"
            )

    show(answer, as_json, text)


def of_bundle(path: str, store: str | None, branch: str, data: list[str], commit: str | None) -> dict[str, Any]:
    """The body that registers a bundle, stored first where a place is named."""
    from muniment.packaging.bundle import Bundle, NotABundle
    from muniment.packaging.sources import CannotPackage
    from muniment.packaging.store import stored

    try:
        file = Path(path)
        bundle = Bundle.read(file)
        uri = stored(file.read_bytes(), store) if store else file.resolve().as_uri()
    except (OSError, NotABundle, CannotPackage) as error:
        fail(f"{path}: {error}", UNKNOWN)
        raise AssertionError from error
    body = bundle.version(uri) | {"branch": branch, "training_data": data}
    if commit:
        repo, _, revision = commit.rpartition("@")
        body["code"] = {"repo": repo or "unknown", "commit": revision}
    return body


def _text(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{path}: {error}", UNKNOWN)
        raise AssertionError from error
