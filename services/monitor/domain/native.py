"""One pass over a column where NumPy makes twenty: the same counts and sums, to the bit, compiled by Numba.

Nothing needs it. Who folds much calls `load` once, outside of the fold since it takes seconds; then it is used.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportMissingImports=false

from collections.abc import Callable
from typing import Any

import numpy as np

from services.monitor.domain.grid import INNER
from services.monitor.domain.sums import FIRST_BITS, FIRST_MAGIC, NEAR, SECOND_BITS, SECOND_MAGIC

Kernel = Callable[..., int]

_BYTES, _PAIRS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_EIGHT, _SIXTEEN, _HALF = np.uint64(8), np.uint64(16), np.uint64(32)

_kernel: list[Kernel] = []


def kernel() -> Kernel | None:
    """The compiled pass; None until it was loaded."""
    return _kernel[0] if _kernel else None


def load() -> bool:
    """Compile the pass, or take it from Numba's cache; whether it is there now. Without Numba it is not."""
    if not _kernel:
        try:
            import numba
        except ImportError:
            return False
        _kernel.append(_compiled(numba))
    return True


def unload() -> None:
    """Go back to NumPy."""
    _kernel.clear()


def _compiled(numba: Any) -> Kernel:
    types = numba.types
    read = [types.Array(kind, 1, "C", readonly=True) for kind in (types.float64, types.uint64)]
    numbers = (types.float64, types.float64, types.boolean, types.boolean, types.uint64, types.uint64)
    filled = (types.uint64[::1], types.int64[::1], types.float64[::1], types.int64[::1], types.int32[::1])
    signature = types.int64(*read, *numbers, *filled)
    try:
        return numba.njit([signature], nogil=True, error_model="numpy", cache=True)(_pass)
    except RuntimeError:  # there is no place for a cache
        return numba.njit([signature], nogil=True, error_model="numpy")(_pass)


def _pass(values, words, low, scale, bent, hashed, factor, absence, hashes, inner, ends, sums, away):
    """Add values [rows] (`words`: their bits) to `inner` [INNER], `ends` [2], `sums` [3] (of positions, of squares,
    missing) and, where `hashed`, to `hashes` [rows].

    Returns how many values are set apart; `away` holds their rows: those outside the inner cells, or, of a `bent`
    column, of which no cells are counted, those too far for near sums. No value too far is in `sums`.
    """
    count = 0
    least, most = ends[0], ends[1]
    first, second, absent = np.int64(0), np.int64(0), np.int64(0)
    for row in range(len(values)):
        value = values[row]
        if not np.isfinite(value):
            absent += 1
            if hashed:
                hashes[row] += absence
            continue
        least = min(least, value)
        most = max(most, value)
        if hashed:
            word = words[row]  # its bytes from the other end
            word = ((word & _BYTES) << _EIGHT) | ((word >> _EIGHT) & _BYTES)
            word = ((word & _PAIRS) << _SIXTEEN) | ((word >> _SIXTEEN) & _PAIRS)
            hashes[row] += ((word << _HALF) | (word >> _HALF)) * factor
        position = (value - low) * scale
        near = abs(position) <= NEAR
        if not bent and position >= 0.0 and position < INNER:
            inner[np.int64(position)] += 1
        elif not (bent and near):
            away[count] = row
            count += 1
        if near:
            first += np.int64(((position + FIRST_MAGIC) - FIRST_MAGIC) * 2.0**FIRST_BITS)
            second += np.int64(((position * position + SECOND_MAGIC) - SECOND_MAGIC) * 2.0**SECOND_BITS)
    ends[0], ends[1] = least, most
    sums[0] += first
    sums[1] += second
    sums[2] += absent
    return count
