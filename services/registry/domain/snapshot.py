"""The folded state of a model as bytes, in parts, and back: equal to what a fold of the whole stream gives."""

import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import NamedTuple

from pydantic import TypeAdapter

from services.registry.domain.model_state import Marks, ModelState, VersionState
from services.registry.domain.numbered import Pack, packed
from shared.events.registry import MlflowStage, ModelRegistered

PART = 100
"""Versions in one part; only parts in which something changed are written again."""


@dataclass(frozen=True, slots=True)
class _Model:
    """A ModelState without its versions; `standing` as hexadecimal numbers, which no reader of JSON cuts short."""

    registered: ModelRegistered | None
    event_id: str
    aliases: Mapping[str, int]
    heads: Mapping[str, int]
    last: int
    standing: Mapping[MlflowStage, str]
    marks: Marks
    retired: str | None
    retired_to: int
    retired_for: str


class Part(NamedTuple):
    """The versions from `number` times PART plus one on."""

    number: int
    body: bytes


_MODEL = TypeAdapter(_Model)
_VERSION = TypeAdapter(VersionState)


def head(state: ModelState) -> bytes:
    """All but the versions."""
    kept = {one.name: getattr(state, one.name) for one in fields(_Model)}
    kept["standing"] = {stage: f"{bits:x}" for stage, bits in state.standing.items()}
    return _MODEL.dump_json(_Model(**kept))


def parts(state: ModelState, before: ModelState | None) -> Iterator[Part]:
    """The parts in which a version is not the very one of the state `before` (None: all parts), one at a time."""
    for number in range(_parts_of(state.last)):
        versions = _numbers(number, state.last)
        if before is None or not all(state.versions.same(before.versions, one) for one in versions):
            texts = [_VERSION.dump_json(state.versions[one], exclude_defaults=True) for one in versions]
            yield Part(number, zlib.compress(b"\n".join(texts), 1))  # a line feed within JSON is written \n


def restored(kept: bytes, bodies: Sequence[bytes]) -> ModelState:
    """The state out of its head and all its parts, in order. Raises ValueError where they do not belong together."""
    model = _MODEL.validate_json(kept)
    if len(bodies) != _parts_of(model.last):
        raise ValueError(f"{model.last} versions are {_parts_of(model.last)} parts, not {len(bodies)}")
    packs = [
        (Pack(number * PART + 1, body, _unpack, _VERSION.validate_json), len(_numbers(number, model.last)))
        for number, body in enumerate(bodies)
    ]
    said = {one.name: getattr(model, one.name) for one in fields(_Model)}
    said["standing"] = {stage: int(bits, 16) for stage, bits in model.standing.items()}
    return ModelState(versions=packed(packs), **said)


def _unpack(body: bytes) -> Sequence[bytes]:
    return zlib.decompress(body).split(b"\n")


def _parts_of(last: int) -> int:
    return -(-last // PART)


def _numbers(part: int, last: int) -> range:
    return range(part * PART + 1, min((part + 1) * PART, last) + 1)
