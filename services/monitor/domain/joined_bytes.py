"""The state of scores and outcomes as bytes: one state, one sequence of bytes. Little-endian, counts sparse."""

import json
import struct
from typing import Any

import numpy as np

from services.monitor.domain.exact import packed, unpacked
from services.monitor.domain.joined import SCORE_CELLS, TALLIES, Ints, Joined, Part, Scores


def encode_joined(joined: Joined) -> bytes:
    """Length of the header, JSON header, then per part the filled cells: places (uint16) and counts (int64)."""
    parts = sorted(joined.parts.items(), key=lambda item: (item[0].column, item[0].attribute, _named(item[0].group)))
    filled = [np.flatnonzero(scores.cells) for _, scores in parts]
    header = {
        "outcomes": joined.outcomes,
        "limit": joined.limit,
        "parts": [
            [*part, scores.tallies.tolist(), len(places), *_sparse(scores)]
            for (part, scores), places in zip(parts, filled, strict=True)
        ],
    }
    head = json.dumps(header, separators=(",", ":")).encode()
    body = [
        places.astype("<u2").tobytes() + scores.cells.ravel()[places].astype("<i8").tobytes()
        for (_, scores), places in zip(parts, filled, strict=True)
    ]
    return b"".join([struct.pack("<I", len(head)), head, *body])


def decode_joined(data: bytes) -> Joined:
    """The state that `encode_joined` wrote."""
    (length,) = struct.unpack_from("<I", data)
    header: dict[str, Any] = json.loads(data[4 : 4 + length])
    place = 4 + length
    parts: dict[Part, Scores] = {}
    for column, attribute, group, tallies, filled, errors, pairs, sums in header["parts"]:
        parts[Part(column, attribute, group)] = Scores(
            np.array(tallies, np.int64).reshape(len(TALLIES)),
            _cells(data, place, filled),
            dict(errors),
            {(predicted, actual): count for predicted, actual, count in pairs},
            tuple(map(unpacked, sums)),
        )
        place += 10 * filled
    return Joined(header["outcomes"], parts, header["limit"])


def _sparse(scores: Scores) -> list[Any]:
    return [
        sorted(scores.errors.items()),
        [[*pair, count] for pair, count in sorted(scores.pairs.items())],
        [packed(one) for one in scores.sums],
    ]


def _cells(data: bytes, place: int, filled: int) -> Ints:
    cells = np.zeros(3 * SCORE_CELLS, np.int64)
    places = np.frombuffer(data, "<u2", filled, place)
    cells[places] = np.frombuffer(data, "<i8", filled, place + 2 * filled)
    return cells.reshape(3, SCORE_CELLS)


def _named(group: str | None) -> tuple[bool, str]:
    return group is None, group or ""
