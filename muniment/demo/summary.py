"""The summary: true figures, each with the address that shows it."""

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from muniment.demo.story import cast
from muniment.demo.story.figures import VERSIONS, Totals
from muniment.demo.story.scene import Line, Scene


def show(scene: Scene, seconds: dict[str, float], console: Console) -> None:
    """Print the story's figures."""
    console.print(_by_month(scene))
    console.print()
    for line in scene.lines:
        console.print(_line(line), soft_wrap=True, highlight=False)
    console.print()
    took = ", ".join(f"{name} in {value:.1f} s" for name, value in seconds.items())
    flights = len(scene.flights)
    console.print(
        f"{flights:,} flights; {took} ({flights / seconds['the year played']:,.0f} flights/s)", soft_wrap=True
    )
    checked, wrong = sum(line.checked for line in scene.lines), sum(not line.holds for line in scene.lines)
    verdict = f"[red]{wrong} of {checked} checks failed[/red]" if wrong else f"[green]all {checked} checks held[/green]"
    console.print(f"Recomputed from the raw data and the served scores: {verdict}")


def _line(line: Line) -> str:
    mark = "·" if not line.checked else "[green]✓[/green]" if line.holds else "[red]✗[/red]"
    figure = f"[bold]{escape(_plain(line.figure))}[/bold]"
    if not line.holds:
        figure += f" [red](the raw data says {escape(_plain(line.expected))})[/red]"
    return f"{mark} {escape(line.name)}: {figure}  [dim]{escape(line.url)}[/dim]"


def _by_month(scene: Scene) -> Table:
    windows = scene.client.url(f"/v1/deployments/{cast.DEPLOYMENT}/windows")
    drift = scene.client.url(f"/v1/deployments/{cast.DEPLOYMENT}/drift")
    table = Table(title="Month by month", box=SIMPLE_HEAD, title_justify="left", caption_justify="left")
    table.caption = f"Months in UTC; drift since the training, of the feature that moved most.\n{windows}\n{drift}"
    table.add_column("month")
    for heading in ("late", "by v1", "USD", "by v2", "USD", "unknown"):
        table.add_column(heading, justify="right")
    table.add_column("drift (PSI)")
    for month, both in scene.measured["months"].items():
        missing = sum(one.predictions - one.outcomes for one in both.values())
        cells = [cell for version in VERSIONS for cell in _cost(both[version])]
        late = f"{scene.measured['late'][month]:.0%}"
        table.add_row(month, late, *cells, f"{missing:,}", _strongest(scene.measured["drift"][month]))
    return table


def _cost(one: Totals) -> tuple[str, str]:
    if not one.outcomes:
        return "–", "–"
    return f"{one.predictions:,}", f"{one.cost / one.outcomes:.2f}"


def _strongest(drift: list[dict[str, Any]]) -> str:
    known = sorted((item for item in drift if item["psi"] is not None), key=lambda item: -item["psi"])
    return f"{known[0]['feature']} {known[0]['psi']:.2f}" if known else "–"


def _plain(figure: Any) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    if isinstance(figure, tuple):
        return ", ".join(map(_plain, figure))
    return f"{figure:,}" if isinstance(figure, int | float) else str(figure)
