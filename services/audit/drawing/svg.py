"""A picture as an SVG that stands alone: no script, no font, no other file."""

import itertools

from services.audit.drawing.layout import Layout, layout
from services.audit.drawing.markup import escaped
from services.audit.drawing.palette import COLOURS
from services.audit.drawing.picture import Arrow, Picture, Shown
from services.audit.drawing.words import family

MEDIA_TYPE = "image/svg+xml"
WIDTH, HEIGHT, ACROSS, GAP, MARGIN = 232.0, 56.0, 92.0, 16.0, 28.0
FOOT = 40.0
TITLE_CHARACTERS, LINE_CHARACTERS = 27, 34
LABELLED = 60
"""Arrows up to which each bears its word; with more the word shows only under the pointer."""

_STYLE = """text { font-family: system-ui, "Segoe UI", Arial, "DejaVu Sans", sans-serif; fill: #1f2a37 }
.kind { font-size: 9.5px; letter-spacing: .09em; fill: #5b6673 }
.title { font-size: 13px; font-weight: 600 }
.line { font-size: 11px; fill: #46515e }
.role { font-size: 9.5px; fill: #5b6673; paint-order: stroke; stroke: #ffffff; stroke-width: 3.5px }
.arrow { fill: none; stroke: #98a3b0; stroke-width: 1.3 }
.foot { font-size: 11px; fill: #5b6673 }"""


def render(picture: Picture, heading: str) -> bytes:
    """The drawing; `heading` names it for who cannot see it."""
    placed = layout(picture, HEIGHT, GAP)
    columns = max(placed.layer.values(), default=0) + 1
    bottom = max((placed.y[node.name] + HEIGHT / 2 for node in picture.nodes), default=0.0)
    width = max(columns * (WIDTH + ACROSS) - ACROSS + 2 * MARGIN, 640.0)
    height = bottom + 2 * MARGIN + FOOT
    labelled = len(picture.arrows) <= LABELLED
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" width="{width:.0f}"'
        f' height="{height:.0f}" role="img">',
        f"<title>{escaped(heading)}</title><style>{_STYLE}</style>",
        '<defs><marker id="to" viewBox="0 0 8 8" refX="7.2" refY="4" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0.5 0.8 L7.5 4 L0.5 7.2 Z" fill="#98a3b0"/></marker></defs>',
        f'<rect width="{width:.0f}" height="{height:.0f}" fill="#ffffff"/>',
        *(_arrow(one, placed) for one in picture.arrows),
        *(_card(node, placed) for node in picture.nodes),
        *((_role(one, placed) for one in picture.arrows) if labelled else ()),
        _foot(picture, height),
        "</svg>",
    ]
    return "\n".join(parts).encode()


def _left(placed: Layout, name: str) -> float:
    return MARGIN + placed.layer[name] * (WIDTH + ACROSS)


def _points(arrow: Arrow, placed: Layout) -> list[tuple[float, float]]:
    """From the side of the later card to the facing side of the earlier one, over the bends between."""
    backward = placed.layer[arrow.src] > placed.layer[arrow.dst]
    start = (_left(placed, arrow.src) + (0 if backward else WIDTH), MARGIN + placed.y[arrow.src])
    end = (_left(placed, arrow.dst) + (WIDTH if backward else 0), MARGIN + placed.y[arrow.dst])
    bends: list[tuple[float, float]] = []
    for layer, y in placed.bends.get((arrow.src, arrow.dst), ()):
        left, at = MARGIN + layer * (WIDTH + ACROSS), MARGIN + y
        bends += [(left + WIDTH, at), (left, at)] if backward else [(left, at), (left + WIDTH, at)]
    return [start, *bends, end]


def _arrow(arrow: Arrow, placed: Layout) -> str:
    points = _points(arrow, placed)
    path = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x0, y0), (x1, y1) in itertools.pairwise(points):
        if y0 == y1:
            path.append(f"L{x1:.1f} {y1:.1f}")
        else:
            middle = (x0 + x1) / 2
            path.append(f"C{middle:.1f} {y0:.1f} {middle:.1f} {y1:.1f} {x1:.1f} {y1:.1f}")
    said = escaped(f"{arrow.src} {arrow.role} {arrow.dst}")
    return f'<path class="arrow" marker-end="url(#to)" d="{" ".join(path)}"><title>{said}</title></path>'


def _role(arrow: Arrow, placed: Layout) -> str:
    points = _points(arrow, placed)
    (x0, y0), (x1, y1) = points[0], points[1]
    x, y = x0 + (x1 - x0) * 0.5, y0 + (y1 - y0) * 0.5 - 3
    return f'<text class="role" x="{x:.1f}" y="{y:.1f}" text-anchor="middle">{escaped(_words(arrow.role))}</text>'


def _words(role: str) -> str:
    return role.replace("_", " ")


def _card(node: Shown, placed: Layout) -> str:
    fill, line = COLOURS[family(node.kind)]
    x, y = _left(placed, node.name), MARGIN + placed.y[node.name] - HEIGHT / 2
    stroke = 2.6 if node.start else 1.1
    box = f'width="{WIDTH:.0f}" height="{HEIGHT:.0f}" rx="7" fill="{fill}" stroke="{line}"'
    parts = [
        f'<g transform="translate({x:.1f} {y:.1f})"><title>{escaped(f"{node.name}: {node.title}. {node.line}")}</title>'
    ]
    if node.more:
        parts.append(f'<rect x="5" y="5" {box} stroke-width="1"/>')
    parts += [
        f'<rect {box} stroke-width="{stroke}"/>',
        f'<text class="kind" x="12" y="16">{escaped(node.kind.upper())}</text>',
        f'<text class="title" x="12" y="32">{escaped(_cut(node.title, TITLE_CHARACTERS))}</text>',
        f'<text class="line" x="12" y="47">{escaped(_cut(node.line, LINE_CHARACTERS))}</text></g>',
    ]
    return "".join(parts)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def _foot(picture: Picture, height: float) -> str:
    """What the colours and arrows mean, and what is not drawn."""
    seen = {family(node.kind) for node in picture.nodes}
    x, y, parts = MARGIN, height - 20, list[str]()
    for name, (fill, line) in COLOURS.items():
        if name in seen:
            parts.append(
                f'<rect x="{x:.0f}" y="{y - 10:.0f}" width="12" height="12" rx="3" fill="{fill}" stroke="{line}"/>'
            )
            parts.append(f'<text class="foot" x="{x + 18:.0f}" y="{y:.0f}">{name}</text>')
            x += 34 + 7 * len(name)
    words = "→ came from, or is about"
    if picture.hidden:
        words += f". {picture.hidden:,} more are not drawn: ask for less depth, or for JSON"
    parts.append(f'<text class="foot" x="{x + 8:.0f}" y="{y:.0f}">{escaped(words)}</text>')
    return "".join(parts)
