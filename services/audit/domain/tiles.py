"""The tree in tiles, as C2SP tlog-tiles lays it out: 256 hashes wide, eight levels of the tree high.

The tile `number` of `level` holds the roots of perfect subtrees of 256**level leaves each; levels between are hashed
anew. Only full tiles have a hash in the level above. Source: c2sp.org/tlog-tiles.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from services.audit.domain.merkle import HASH, Range, folded, perfect, perfect_root

WIDTH = 256
HEIGHT = 8
MAX_ENTRY = 2**16 - 1
"""Bytes that an entry may have in a bundle, whose lengths are 16 bits wide."""

MAX_LEVEL = 63
_PATH = re.compile(
    r"(?P<level>entries|0|[1-9]\d?)/(?P<number>(?:x\d{3}/){0,5}\d{3})(?:\.p/(?P<width>[1-9]\d{0,2}))?", re.ASCII
)


class Tile(NamedTuple):
    level: int
    number: int


class Asked(NamedTuple):
    """What a path names. `level` None: a bundle of entries; `width`: 1 to 255 of a partial tile, 256 of a full one."""

    level: int | None
    number: int
    width: int


class EntryTooLong(ValueError):
    """An entry that no bundle can hold; `place`: its place among the entries given."""

    def __init__(self, place: int, length: int) -> None:
        super().__init__(f"an entry of {length} bytes is longer than the {MAX_ENTRY} that a bundle can tell")
        self.place = place


def path(asked: Asked) -> str:
    """The path below `/tile/`, such as `0/x001/x234/067` or `entries/000.p/3`."""
    digits = str(asked.number)
    digits = digits.zfill(-(-len(digits) // 3) * 3)
    groups = [digits[start : start + 3] for start in range(0, len(digits), 3)]
    number = "/".join([*(f"x{group}" for group in groups[:-1]), groups[-1]])
    partial = "" if asked.width == WIDTH else f".p/{asked.width}"
    return f"{'entries' if asked.level is None else asked.level}/{number}{partial}"


def parse_path(text: str) -> Asked:
    """What a path below `/tile/` names. Raises ValueError."""
    found = _PATH.fullmatch(text)
    if found is None:
        raise ValueError(f"'{text}' is no path of a tile")
    level = None if found["level"] == "entries" else int(found["level"])
    number = int(found["number"].replace("x", "").replace("/", ""))
    asked = Asked(level, number, int(found["width"] or WIDTH))
    if (level or 0) > MAX_LEVEL or (found["width"] and asked.width >= WIDTH) or path(asked) != text:
        raise ValueError(f"'{text}' is no path of a tile")
    return asked


def width(tile: Tile, size: int) -> int:
    """How many hashes a tile holds in a tree of this size, 0 to 256."""
    return min(WIDTH, max(0, (size >> HEIGHT * tile.level) - tile.number * WIDTH))


def edge(size: int) -> list[Tile]:
    """The partial tiles of a tree: what `grow` needs to go on."""
    levels = range(-(-size.bit_length() // HEIGHT))
    tiles = [Tile(level, (size >> HEIGHT * level) // WIDTH) for level in levels]
    return [tile for tile in tiles if 0 < width(tile, size) < WIDTH]


def grow(size: int, tiles: Mapping[Tile, bytes], leaves: Sequence[bytes]) -> dict[Tile, bytes]:
    """The tiles that are new or longer once these leaf hashes follow the `size` ones; `tiles` holds `edge(size)`."""
    changed: dict[Tile, bytes] = {}
    level, new = 0, list(leaves)
    while new:
        number, kept = divmod(size >> HEIGHT * level, WIDTH)
        hashes = [*split(tiles[Tile(level, number)][: kept * HASH])] if kept else []
        hashes += new
        for start in range(0, len(hashes), WIDTH):
            changed[Tile(level, number + start // WIDTH)] = b"".join(hashes[start : start + WIDTH])
        full = len(hashes) // WIDTH * WIDTH
        new = [perfect_root(b"".join(hashes[start : start + WIDTH])) for start in range(0, full, WIDTH)]
        level += 1
    return changed


def split(hashes: bytes) -> list[bytes]:
    """The hashes of a tile, one by one."""
    return [hashes[start : start + HASH] for start in range(0, len(hashes), HASH)]


def needed(ranges: Iterable[Range]) -> set[Tile]:
    """The tiles that `range_root` asks for."""
    return {_slot(part)[0] for leaves in ranges for part in perfect(leaves)}


def range_root(leaves: Range, tiles: Mapping[Tile, bytes]) -> bytes:
    """The root over a range that `merkle` named (or `Range(0, size)`: that of the tree). Raises KeyError, or ValueError
    where a tile is shorter than the tree asks."""
    return folded([_perfect_root(part, tiles) for part in perfect(leaves)])


def bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle: each entry behind its length, 16 bits big-endian. Raises EntryTooLong."""
    for place, entry in enumerate(entries):
        if len(entry) > MAX_ENTRY:
            raise EntryTooLong(place, len(entry))
    return b"".join(len(entry).to_bytes(2, "big") + entry for entry in entries)


def _perfect_root(part: Range, tiles: Mapping[Tile, bytes]) -> bytes:
    tile, first, count = _slot(part)
    hashes = tiles[tile][first * HASH : (first + count) * HASH]
    if len(hashes) != count * HASH:
        raise ValueError(f"tile {tile.level}/{tile.number} ends before hash {first + count - 1}")
    return perfect_root(hashes)


def _slot(part: Range) -> tuple[Tile, int, int]:
    """Where the hashes below a perfect subtree lie: tile, first hash, count."""
    level, below = divmod((part.end - part.start).bit_length() - 1, HEIGHT)
    number, first = divmod(part.start >> HEIGHT * level, WIDTH)
    return Tile(level, number), first, 1 << below
