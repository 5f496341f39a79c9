"""The summary: true figures, each with the address that shows it."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from muniment.demo.story import cast
from muniment.demo.story.scene import Line, Scene


def show(scene: Scene, seconds: dict[str, float], console: Console) -> None:
    """Print the tables of the story."""
    console.print(_by_month(scene))
    console.print(_figures(scene.lines))
    took = ", ".join(f"{name} {value:.1f} s" for name, value in seconds.items())
    flights = len(scene.flights)
    console.print(f"{flights:,} flights; {took} ({flights / seconds['the year played']:,.0f} flights/s)")
    wrong = [line for line in scene.lines if not line.holds]
    for line in wrong:
        console.print(f"[red]✗ {escape(line.name)}: told {line.figure}, raw data says {line.expected}[/red] {line.url}")
    checked = sum(line.checked for line in scene.lines)
    verdict = (
        f"[red]{len(wrong)} of {checked} checks failed[/red]" if wrong else f"[green]all {checked} checks held[/green]"
    )
    console.print(f"Recomputed from the raw data and the served scores: {verdict}")


def _by_month(scene: Scene) -> Table:
    windows = f"/v1/deployments/{cast.DEPLOYMENT}"
    caption = f"{scene.client.url(windows + '/windows?version=2')}  ·  {scene.client.url(windows + '/drift?version=1')}"
    table = Table(title="Month by month", caption=caption, title_justify="left", caption_justify="left")
    table.add_column("month")
    headings = (
        "late",
        "v1 flights",
        "v1 USD/flight",
        "v2 flights",
        "v2 USD/flight",
        "never came",
        "strongest drift (PSI)",
    )
    for heading in headings:
        table.add_column(heading, justify="right")
    drift = _drift_by_month(scene.measured["windows"])
    for month, both in scene.measured["months"].items():
        missing = sum(one.predictions - one.outcomes for one in both.values())
        cells = [f"{scene.measured['late'][month]:.0%}"]
        for version in (1, 2):
            one = both[version]
            cost = f"{one.cost / one.outcomes:.2f}" if one.outcomes else "–"
            cells += [f"{one.predictions:,}" if one.predictions else "–", cost]
        table.add_row(month, *cells, f"{missing:,}", drift.get(month, "–"))
    return table


def _drift_by_month(windows: dict[int, list[dict[str, Any]]]) -> dict[str, str]:
    """The strongest drift of any feature on any day of the month."""
    strongest: dict[str, tuple[float, str]] = {}
    for window in (window for both in windows.values() for window in both):
        month = window["window_start"][:7]
        for drift in window["drift"]:
            if drift["psi"] is not None:
                strongest[month] = max(strongest.get(month, (0.0, "")), (drift["psi"], drift["feature"]))
    return {month: f"{psi:.2f} {feature}" for month, (psi, feature) in strongest.items()}


def _figures(lines: list[Line]) -> Table:
    table = Table(title="What the services say", title_justify="left")
    table.add_column("")
    table.add_column("what", overflow="fold")
    table.add_column("figure", justify="right", overflow="fold")
    table.add_column("shown at", overflow="fold")
    for line in lines:
        mark = " " if not line.checked else ("[green]✓[/green]" if line.holds else "[red]✗[/red]")
        table.add_row(mark, escape(line.name), escape(_plain(line.figure)), escape(line.url))
    return table


def _plain(figure: Any) -> str:
    if isinstance(figure, bool):
        return "yes" if figure else "no"
    return f"{figure:,}" if isinstance(figure, int | float) else str(figure)
