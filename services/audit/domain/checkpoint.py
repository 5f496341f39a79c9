"""The text of a checkpoint (c2sp.org/tlog-checkpoint): which tree, how large, with which root."""

import re
from base64 import b64decode, b64encode
from binascii import Error
from dataclasses import dataclass

from services.audit.domain.note import BadNote

_DECIMAL = re.compile(r"0|[1-9]\d{0,18}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`origin`: the tree's name; `extensions`: further lines, which nobody vouches for."""

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """The text to be signed."""
        lines = [self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions]
        return "".join(f"{line}\n" for line in lines)


def parse(text: str) -> Checkpoint:
    """The checkpoint that a note's text tells. Raises BadNote."""
    origin, *lines = text.removesuffix("\n").split("\n")
    if len(lines) < 2 or not text.endswith("\n") or not all((origin, *lines)):
        raise BadNote("a checkpoint is an origin, a size and a root, each on a line")
    if not _DECIMAL.fullmatch(lines[0]):
        raise BadNote(f"'{lines[0][:40]}' is no tree size")
    try:
        root = b64decode(lines[1], validate=True)
    except (Error, ValueError) as error:
        raise BadNote("the root of a checkpoint is no base64") from error
    if len(root) != 32 or b64encode(root).decode() != lines[1]:
        raise BadNote("the root of a checkpoint is no SHA-256 hash")
    return Checkpoint(origin, int(lines[0]), root, tuple(lines[2:]))
