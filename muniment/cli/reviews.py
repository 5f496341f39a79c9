"""`muniment review`: how wrong the unflagged rest is; and what share is flagged, and how far experts agree."""

import csv
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from muniment.cli.flags import condition
from muniment.cli.options import DEFAULT_URL as URL
from muniment.cli.options import UNKNOWN, Actor, AsJson, Key, Url, connected, console, fail, show, wrote

app = typer.Typer(help="Reviews of unflagged predictions: draw, items, judge, show.", no_args_is_help=True)

ReviewId = Annotated[str, typer.Argument(metavar="REVIEW", help="The review's id.")]
_WORDS = {"wrong": True, "true": True, "1": True, "yes": True, "right": False, "false": False, "0": False, "no": False}


def add(root: typer.Typer) -> None:
    root.command()(rates)
    root.command()(experts)
    root.add_typer(app, name="review")


@app.command()
def draw(
    deployment: str,
    version: int,
    design: Annotated[str, typer.Option(help="uncertainty or stratified.")] = "uncertainty",
    by: Annotated[str, typer.Option(help="Strata of a stratified one: score or segment.")] = "score",
    threshold: Annotated[float, typer.Option(help="Where the output is least certain.")] = 0.5,
    output: Annotated[str | None, typer.Option(help="Which output; default: the only number.")] = None,
    size: Annotated[int, typer.Option(help="How many to look at.")] = 100,
    strata: Annotated[int, typer.Option()] = 5,
    seed: Annotated[int | None, typer.Option(help="To repeat a draw.")] = None,
    from_: Annotated[str | None, typer.Option("--from", help="Made at or after (RFC 3339).")] = None,
    to: Annotated[str | None, typer.Option(help="Made before (RFC 3339).")] = None,
    where: Annotated[list[str] | None, typer.Option(help='"COLUMN OP VALUE"; all must hold.')] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Draw unflagged predictions at random for experts to look at."""
    query = {"deployment": deployment, "version": version, "from": from_, "to": to}
    given = {name: value for name, value in query.items() if value is not None}
    given["where"] = [condition(one) for one in where or []]
    body: dict[str, Any] = {"query": given, "design": design, "by": by, "threshold": threshold, "size": size}
    body |= {"strata": strata} | {name: one for name, one in (("output", output), ("seed", seed)) if one is not None}
    with connected(url, actor, key) as client:
        answer = client.post("/v1/reviews", body)
    wrote(answer, as_json, f"review {answer['id']}: {answer['items']} predictions to look at")


@app.command()
def items(
    review: ReviewId,
    limit: Annotated[int, typer.Option(help="How many at most.")] = 100,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """What was drawn, in the order in which to look; as CSV, to fill in and give to `muniment review judge`."""
    with connected(url, actor, key) as client:
        found = client.get(f"/v1/reviews/{review}/items", limit=limit)

    def text() -> None:
        lines = csv.writer(sys.stdout, lineterminator="\n")
        lines.writerow(("prediction_id", "wrong", "comment"))
        lines.writerows((one["prediction_id"], "", "") for one in found["items"])

    show(found, as_json, text)


@app.command()
def judge(
    review: ReviewId,
    file: Annotated[Path, typer.Argument(help="CSV with prediction_id, wrong (wrong or right), comment.")],
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """Say which of the drawn predictions are wrong. Rows without a word are left out."""
    words = _words(file)
    with connected(url, actor, key) as client:
        answer = client.post(f"/v1/reviews/{review}/judgements", {"judgements": words})
    wrote(answer, as_json, f"{len(words)} judged in review {review}")


@app.command("show")
def shown(
    review: ReviewId,
    level: Annotated[float, typer.Option(help="Of the interval.")] = 0.95,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """The error rate of all unflagged predictions with its interval, and the experts' kappa."""
    with connected(url, actor, key) as client:
        found = client.get(f"/v1/reviews/{review}", level=level)
    show(found, as_json, lambda: _review(found))


def rates(
    deployment: str,
    version: Annotated[int | None, typer.Option()] = None,
    rule: Annotated[str | None, typer.Option(help="By the flags of this business rule alone.")] = None,
    weighted: Annotated[bool, typer.Option(help="Each flag with its expert's weight, too.")] = False,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """What share of a deployment's predictions is flagged, by version, segment and category."""
    with connected(url, actor, key) as client:
        found = client.get("/v1/rates", deployment=deployment, version=version, rule=rule, weighted=weighted)
    show(found, as_json, lambda: _rates(found))


def experts(
    deployment: Annotated[str | None, typer.Option()] = None,
    url: Url = URL,
    actor: Actor = None,
    key: Key = None,
    as_json: AsJson = False,
) -> None:
    """How each expert's flags ended, and the weight that follows from it."""
    with connected(url, actor, key) as client:
        found = client.get("/v1/experts", deployment=deployment)

    def text() -> None:
        table = Table(*(found["items"][0] if found["items"] else ("expert",)))
        for one in found["items"]:
            table.add_row(*(f"{cell:.3f}" if isinstance(cell, float) else escape(str(cell)) for cell in one.values()))
        console.print(table)

    show(found, as_json, text)


def _words(file: Path) -> list[dict[str, Any]]:
    try:
        rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        fail(f"{file}: {error}", UNKNOWN)
        raise AssertionError from error
    found: list[dict[str, Any]] = []
    for number, row in enumerate(rows, 1):
        said = (row.get("wrong") or "").strip().lower()
        if said and said not in _WORDS:
            fail(f"{file}, row {number}: '{said}' is neither wrong nor right", UNKNOWN)
        if said:
            word = {"prediction_id": row.get("prediction_id") or "", "wrong": _WORDS[said]}
            found.append(word | ({"comment": row["comment"]} if row.get("comment") else {}))
    if not found:
        fail(f"{file}: no row says wrong or right", UNKNOWN)
    return found


def _review(found: dict[str, Any]) -> None:
    table = Table("stratum", "size", "drawn", "judged", "wrong")
    for one in found["strata"]:
        wrong = f"{one['wrong']:g}"
        table.add_row(escape(one["name"]), f"{one['size']:,}", str(one["drawn"]), str(one["judged"]), wrong)
    console.print(table)
    rate, agreed = found["error_rate"], found["agreement"]
    if rate:
        console.print(
            f"error rate {rate['rate']:.4f}, {rate['level']:.0%} interval {rate['low']:.4f} to {rate['high']:.4f}"
        )
    for pair in agreed["cohen"]:
        console.print(f"kappa of {escape(' and '.join(pair['experts']))}: {_kappa(pair['kappa'])} ({pair['things']})")
    if agreed["fleiss"] is not None:
        console.print(f"Fleiss' kappa of {agreed['experts']} experts: {agreed['fleiss']:.3f} ({agreed['things']})")


def _kappa(kappa: float | None) -> str:
    return "undefined" if kappa is None else f"{kappa:.3f}"


def _rates(found: dict[str, Any]) -> None:
    table = Table("", "flagged", "open", "predictions", "rate", "95 % interval")
    rows = [("all", found)]
    rows += [(f"version {one['version']}", one) for one in found["versions"]]
    rows += [(f"version {one['version']}, segment {one['segment'] or '(none)'}", one) for one in found["segments"]]
    for name, one in rows:
        share = "" if one["rate"] is None else f"{one['rate']:.4f}"
        span = "" if one["interval"] is None else "{:.4f} to {:.4f}".format(*one["interval"])
        table.add_row(escape(name), f"{one['flagged']:,}", f"{one['open']:,}", f"{one['predictions']:,}", share, span)
    console.print(table)
    for name, one in found["by_category"].items():
        share = "" if one["rate"] is None else f" ({one['rate']:.4f})"
        console.print(f"{escape(name)}: {one['flagged']:,}{share}")
