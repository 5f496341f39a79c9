"""The id of a flag, which follows from who says what: the same words are the same flag. Pure."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

SAID: Mapping[str, Any] = {
    "prediction_id": None,
    "slice": None,
    "model": None,
    "version": None,
    "pipeline": None,
    "category": "",
    "severity": "medium",
    "expected": None,
    "comment": "",
    "attachments": [],
}
"""What may be said in a flag, and what it is where nothing is said."""


def words_of(actor: str, said: Mapping[str, Any]) -> bytes:
    """What makes it the same: who says it, of what, and in which words."""
    return json.dumps([actor, {**SAID, **said}], sort_keys=True).encode()  # whole numbers of any size, refused later


def flag_id(words: bytes, again: int = 0) -> str:
    """The id of the flag that says these words, a UUIDv8 (RFC 9562, 5.8): who says the same of the same thing once more
    names the same flag, at whichever process and however soon. `again`: how many such flags have ended before."""
    digest = sha256(words + again.to_bytes(4)).digest()[:16]
    number = int.from_bytes(digest) & ~(0xF << 76 | 0x3 << 62) | 0x8 << 76 | 0x2 << 62
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
