"""A picture as a Mermaid flowchart. Source: mermaid.js.org, flowchart syntax (entity codes `#NUMBER;` for quotes)."""

from services.audit.drawing.palette import COLOURS
from services.audit.drawing.picture import Picture, Shown
from services.audit.drawing.words import family

MEDIA_TYPE = "text/vnd.mermaid; charset=utf-8"


def render(picture: Picture) -> bytes:
    """The flowchart from left (origins) to right (what came of them); arrows lead to what a thing came from."""
    places = {node.name: f"n{number}" for number, node in enumerate(picture.nodes)}
    lines = ["flowchart RL"]
    lines += [f'  {places[node.name]}["{_label(node)}"]:::{family(node.kind)}' for node in picture.nodes]
    lines += [f'  {places[one.src]} -->|"{_text(one.role)}"| {places[one.dst]}' for one in picture.arrows]
    lines += [f"  classDef {name} fill:{fill},stroke:{line},color:#1f2a37" for name, (fill, line) in COLOURS.items()]
    lines += [f"  style {places[node.name]} stroke-width:3px" for node in picture.nodes if node.start]
    if picture.hidden:
        lines.append(f'  more["{picture.hidden:,} more are not drawn; ask for less depth"]')
    return ("\n".join(lines) + "\n").encode()


def _label(node: Shown) -> str:
    parts = [f"<small>{_text(node.kind)}</small>", f"<b>{_text(node.title)}</b>"]
    return "<br/>".join([*parts, *([_text(node.line)] if node.line else [])])


def _text(text: str) -> str:
    """Text that no part of Mermaid's grammar or of HTML takes for its own."""
    return "".join(one if one.isalnum() or one in " .,:-_/@…%+" else f"#{ord(one)};" for one in text)
