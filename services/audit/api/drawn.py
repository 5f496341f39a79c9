"""Answers of lineage as pictures."""

import asyncio
from collections.abc import Sequence
from typing import Any, Literal

from fastapi.responses import Response

from services.audit.drawing import mermaid, svg
from services.audit.drawing.picture import picture
from services.audit.pages import shown
from shared.runtime.settings import Settings

Format = Literal["json", "mermaid", "svg"]


async def drawn(
    answer: dict[str, Any], starts: Sequence[str], wanted: Format, settings: Settings, heading: str
) -> Response:
    """A lineage answer as Mermaid or SVG, beside the event loop."""
    data = await asyncio.to_thread(_render, answer, starts, wanted, settings.lineage_max_drawn, heading)
    media_type = svg.MEDIA_TYPE if wanted == "svg" else mermaid.MEDIA_TYPE
    return shown(data, media_type, f"lineage.{'svg' if wanted == 'svg' else 'mmd'}")


def name_outputs(answer: dict[str, Any], starts: Sequence[str]) -> None:
    """Let the cards of the prediction asked for bear what it said; the graph has nothing about one row."""
    for node in answer["nodes"]:
        if f"{node['kind']}/{node['id']}" in starts:
            node["attributes"] = dict(answer["prediction"]["outputs"])


def drawing(answer: dict[str, Any], starts: Sequence[str], most: int, heading: str) -> str:
    """A lineage answer as the text of an SVG."""
    return svg.render(picture(answer, starts, most), heading).decode()


def _render(answer: dict[str, Any], starts: Sequence[str], wanted: Format, most: int, heading: str) -> bytes:
    made = picture(answer, starts, most)
    return svg.render(made, heading) if wanted == "svg" else mermaid.render(made)
