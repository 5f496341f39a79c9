"""Cold parts verified without any server: every entry, every root, and the signed checkpoint to which each part leads.

A part's file proves itself; the parts of a place must together be the leaves from 0 on, none missing. A
file that a killed worker left beside the one on record does no harm.
"""

from base64 import b64decode
from binascii import Error
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from services.audit.domain import keys, merkle
from services.audit.domain.checkpoint import parse as parse_checkpoint
from services.audit.domain.merkle import Frontier, leaf_hash
from services.audit.domain.note import BadNote, VerifierKey, parse, parse_verifier, verified_by
from services.audit.parts.file import NotAPart, PartFile, Told
from services.audit.parts.place import Place

_COLUMNS = ("leaf", "event_id", "hash", "entry")


@dataclass(slots=True)
class Verified:
    """What was found of the parts of a place. `end`: the leaf behind the last that follows from leaf 0 on."""

    parts: int = 0
    end: int = 0
    problems: list[str] = field(default_factory=list[str])


def verify(place: Place, trusted: str) -> Verified:
    """Verify every part there, by the verifier key that is trusted. Raises BadNote for what is no key, OSError."""
    key, found = parse_verifier(trusted), Verified()
    for name in place.names():
        found.parts += 1
        try:
            told = _part(place, name, key)
        except (NotAPart, BadNote) as error:
            found.problems.append(f"{name}: {error}")
            told = _named(name)
        if told is None:
            continue
        first, end = told
        if first > found.end:  # leaves that come twice do no harm: each file proves them
            found.problems.append(f"{name}: leaves {found.end} to {first - 1} are in no part")
        found.end = max(found.end, end)
    return found


def _named(name: str) -> tuple[int, int] | None:
    """The leaves that a file's name tells."""
    first, _, rest = name.partition("-")
    end = rest.partition("-")[0]
    return (int(first), int(end)) if first.isdigit() and end.isdigit() else None


def _part(place: Place, name: str, key: VerifierKey) -> tuple[int, int]:
    """Verify one part. Raises NotAPart, BadNote, FileNotFoundError, OSError."""
    file = PartFile.of(partial(place.open, name))
    told = file.told
    if _named(name) != (told.first, told.end):
        raise NotAPart(f"it holds leaves {told.first} to {told.end - 1}, not those of its name")
    size = told.end - told.first
    if told.first < 0 or size < 1 or size & (size - 1) or told.first % size:
        raise NotAPart("its leaves are no subtree")
    root = _root(file, told)
    if root != _hash(told.root):
        raise NotAPart("its entries do not give its root: entries and hashes were altered together")
    checkpoint = parse(told.checkpoint)
    tree = parse_checkpoint(checkpoint.text)
    if tree.origin != key.name or not verified_by(checkpoint, list(_successors(key, told.keys))):
        raise BadNote(f"no trusted key of {key.name} signed its checkpoint")
    height = size.bit_length() - 1
    place_, last = told.first >> height, tree.size - 1 >> height
    proof = [_hash(one) for one in told.proof]
    if tree.size < told.end or not merkle.verify_inclusion(root, place_, last + 1, proof, tree.root):
        raise NotAPart(f"its proof does not lead to the signed checkpoint of {tree.size} leaves")
    return told.first, told.end


def _root(file: PartFile, told: Told) -> bytes:
    at, frontier = told.first, Frontier()
    for rows in file.groups(_COLUMNS):
        for leaf, event_id, hashed, entry in rows:
            if leaf != at:
                raise NotAPart(f"leaf {at} is missing: leaf {leaf} stands in its place")
            if leaf_hash(entry.encode()) != hashed:
                raise NotAPart(f"leaf {leaf} (event {event_id}): its entry was altered")
            at += 1
        frontier = frontier.extended(hashed for _, _, hashed, _ in rows)
    if at != told.end:
        raise NotAPart(f"it ends before leaf {at}")
    return frontier.root


def _successors(trusted: VerifierKey, listed: Sequence[dict[str, str]]) -> Iterator[VerifierKey]:
    """The trusted key and those to which it handed over, one after another."""
    yield trusted
    for one in listed:
        new = keys.successor(one["endorsement"], trusted)
        if new is not None:
            trusted = new
            yield trusted


def _hash(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except (Error, ValueError) as error:
        raise NotAPart("its metadata hold no hashes") from error
