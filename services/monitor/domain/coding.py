"""A window's state as bytes: one state, one sequence of bytes. Little-endian; counts are sparse, moments dense."""

import json
import struct
from typing import Any

import numpy as np

from services.monitor.domain.sketch import Categories, Floats, Ints, Joined, Numbers, Sketch

MAGIC = b"MWS1"


class NotASketch(ValueError):
    """Bytes that `encode` did not write."""


def encode(sketch: Sketch) -> bytes:
    """The state as bytes: magic, length of the header, JSON header, then the arrays one after another."""
    header = {
        "predictions": sketch.predictions,
        "limit": sketch.limit,
        "features": list(sketch.features.names),
        "outputs": list(sketch.outputs.names),
        "joined": list(sketch.joined.names),
        "outcomes": sketch.joined.outcomes,
        "categories": {
            name: [dict(sorted(one.counts.items())), one.other, one.missing]
            for name, one in sorted(sketch.categories.items())
        },
    }
    head = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
    parts = [MAGIC, struct.pack("<I", len(head)), head]
    for numbers in (sketch.features, sketch.outputs):
        parts += [_sparse(numbers.missing), _dense(numbers.moments), _sparse(numbers.cells)]
    joined = sketch.joined
    parts += [_sparse(joined.cells), _sparse(joined.binary), _dense(joined.errors)]
    return b"".join(parts)


def decode(data: bytes) -> Sketch:
    """The state that `encode` wrote. Raises NotASketch."""
    if data[:4] != MAGIC:
        raise NotASketch("no window state of this version")
    (length,) = struct.unpack_from("<I", data, 4)
    header: dict[str, Any] = json.loads(data[8 : 8 + length])
    reader = _Reader(data, 8 + length)
    features = _numbers(reader, header["features"], 258)
    outputs = _numbers(reader, header["outputs"], 0)
    names = tuple(header["joined"])
    joined = Joined(
        header["outcomes"],
        names,
        reader.sparse(len(names), 2, 1_001),
        reader.sparse(len(names), 3),
        reader.dense(len(names), 6),
    )
    categories = {name: Categories(*values) for name, values in header["categories"].items()}
    return Sketch(header["predictions"], features, categories, outputs, joined, header["limit"])


class _Reader:
    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place

    def dense(self, *shape: int) -> Floats:
        count = int(np.prod(shape))
        values = np.frombuffer(self.data, "<f8", count, self.place).astype(np.float64).reshape(shape)
        self.place += 8 * count
        return values

    def sparse(self, *shape: int) -> Ints:
        (count,) = struct.unpack_from("<I", self.data, self.place)
        places = np.frombuffer(self.data, "<u4", count, self.place + 4)
        values = np.frombuffer(self.data, "<i8", count, self.place + 4 + 4 * count)
        self.place += 4 + 12 * count
        array = np.zeros(int(np.prod(shape)), np.int64)
        array[places] = values
        return array.reshape(shape)


def _numbers(reader: _Reader, names: list[str], cells: int) -> Numbers:
    count = len(names)
    return Numbers(tuple(names), reader.sparse(count), reader.dense(count, 5), reader.sparse(count, cells))


def _dense(values: Floats) -> bytes:
    return values.astype("<f8").tobytes()


def _sparse(values: Ints) -> bytes:
    flat = values.ravel()
    places = np.flatnonzero(flat)
    return struct.pack("<I", len(places)) + places.astype("<u4").tobytes() + flat[places].astype("<i8").tobytes()
