"""A window's state as bytes: one state, one sequence of bytes.

Magic, length of the header, a JSON header, then the arrays one after another, little-endian. Counts are kept sparse
(places and counts of those that are not zero) in the smallest unsigned type that holds them.
"""

import json
import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray

from services.monitor.domain.categories import DEPTH, WIDTH, Categories
from services.monitor.domain.grid import CELLS, Ints
from services.monitor.domain.joined import Joined
from services.monitor.domain.joined_bytes import decode_joined, encode_joined
from services.monitor.domain.rows import Rows
from services.monitor.domain.sketch import Numbers, Sketch

MAGIC = b"MWS3"
_SIZES = ("<u1", "<u2", "<u4", "<u8")


class NotASketch(ValueError):
    """Bytes that `encode` of this version did not write."""


def encode(sketch: Sketch) -> bytes:
    """The state as bytes."""
    rows = sketch.rows
    header = {
        "predictions": sketch.predictions,
        "limit": sketch.limit,
        "faults": dict(sorted(sketch.faults.items())),
        "features": _named(sketch.features),
        "outputs": _named(sketch.outputs),
        "categories": {name: _categories(one) for name, one in sorted(sketch.categories.items())},
        "rows": [list(rows.names), list(rows.text_names), len(rows.hashes), rows.texts.tolist()],
    }
    parts = [_text(header), _numbers(sketch.features), _numbers(sketch.outputs)]
    parts += [_sparse(one.rest) for _, one in sorted(sketch.categories.items()) if one.rest is not None]
    parts += [rows.hashes.astype("<u8").tobytes(), _sparse(rows.counts), rows.values.astype("<f4").tobytes()]
    joined = encode_joined(sketch.joined)
    return b"".join([MAGIC, *parts, joined, struct.pack("<I", len(joined))])


def joined_in(data: bytes) -> Joined:
    """Only the scores and outcomes of a state, which cost far less to read than all of it. Raises NotASketch."""
    _check(data)
    (length,) = struct.unpack_from("<I", data, len(data) - 4)
    return decode_joined(data[len(data) - 4 - length : -4])


def decode(data: bytes) -> Sketch:
    """The state that `encode` wrote. Raises NotASketch."""
    _check(data)
    reader = _Reader(data, 4)
    header = reader.text()
    features = reader.numbers(header["features"])
    outputs = reader.numbers(header["outputs"])
    categories: dict[str, Categories] = {}
    for name, (declared, counts, other, missing, overflown) in header["categories"].items():
        rest = reader.sparse(DEPTH, WIDTH) if overflown else None
        categories[name] = Categories(declared, counts, other, missing, rest)
    rows = reader.rows(*header["rows"])
    joined = decode_joined(data[reader.place :])
    faults: dict[str, int] = header["faults"]
    return Sketch(header["predictions"], features, categories, outputs, joined, header["limit"], rows, faults)


def _check(data: bytes) -> None:
    if data[:4] != MAGIC:
        raise NotASketch(
            f"a window state that begins with {data[:4]!r} instead of {MAGIC!r}: it was written by another version; "
            "rebuild the monitor's views from the log (python -m services.monitor rebuild)"
        )


def _text(header: Any) -> bytes:
    head = json.dumps(header, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    return struct.pack("<I", len(head)) + head


def _named(numbers: Numbers) -> list[Any]:
    return [list(numbers.names), numbers.sums.tolist()]


def _numbers(numbers: Numbers) -> bytes:
    bounds = np.stack([numbers.low, numbers.high]).astype("<f8").tobytes()
    return _sparse(numbers.missing) + _sparse(numbers.outside) + bounds + _sparse(numbers.cells)


def _categories(one: Categories) -> list[Any]:
    return [
        dict(sorted(one.declared.items())),
        dict(sorted(one.counts.items())),
        one.other,
        one.missing,
        one.rest is not None,
    ]


def _sparse(values: Ints) -> bytes:
    flat = values.ravel()
    places = np.flatnonzero(flat)
    return _packed(places) + _packed(flat[places])


def _packed(values: NDArray[Any]) -> bytes:
    """How many, the code of their type, and the numbers; none is negative."""
    most = int(values.max(initial=0))
    code = next(code for code, size in enumerate((8, 16, 32, 64)) if most < 2**size)
    return struct.pack("<IB", len(values), code) + values.astype(_SIZES[code]).tobytes()


class _Reader:
    def __init__(self, data: bytes, place: int) -> None:
        self.data, self.place = data, place

    def text(self) -> dict[str, Any]:
        (length,) = struct.unpack_from("<I", self.data, self.place)
        begin = self.place + 4
        self.place = begin + length
        return json.loads(self.data[begin : self.place].decode("utf-8", "surrogatepass"))

    def numbers(self, named: list[Any]) -> Numbers:
        names, sums = named
        count = len(names)
        missing, outside = self.sparse(count), self.sparse(count)
        low, high = self._array("<f8", 2 * count).astype(np.float64).reshape(2, count)
        whole: Any = np.empty((count, 2), object)
        for place, pair in enumerate(sums):
            whole[place] = pair
        return Numbers(tuple(names), missing, outside, self.sparse(count, CELLS), low, high, whole)

    def rows(self, names: list[str], text_names: list[str], count: int, texts: list[list[str | None]]) -> Rows:
        hashes = self._array("<u8", count).astype(np.uint64)
        counts = self.sparse(count)
        values = self._array("<f4", count * len(names)).astype(np.float32).reshape(count, len(names))
        kept: Any = np.full((count, len(text_names)), None, np.object_)
        if text_names:
            for place, row in enumerate(texts):
                kept[place] = row
        return Rows(tuple(names), tuple(text_names), hashes, counts, values, kept)

    def sparse(self, *shape: int) -> Ints:
        places, values = self._packed(), self._packed()
        array = np.zeros(int(np.prod(shape)), np.int64)
        array[places] = values
        return array.reshape(shape)

    def _packed(self) -> Ints:
        count, code = struct.unpack_from("<IB", self.data, self.place)
        self.place += 5
        return self._array(_SIZES[code], count).astype(np.int64)

    def _array(self, kind: str, count: int) -> NDArray[Any]:
        values = np.frombuffer(self.data, kind, count, self.place)
        self.place += values.nbytes
        return values
