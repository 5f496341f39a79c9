"""One pass over a column where NumPy makes twenty: the same counts and sums, to the bit, compiled by Numba.

Nothing needs it. Who folds much calls `load` once, outside of the fold since it takes seconds; then it is used. Columns
are read where Arrow has them, part by part, by their addresses: to put them together first takes as long as to count.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportMissingTypeStubs=false, reportUnknownParameterType=false, reportMissingParameterType=false
# pyright: reportMissingImports=false, reportPrivateImportUsage=false, reportAttributeAccessIssue=false

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from services.monitor.domain.grid import INNER
from services.monitor.domain.sums import FIRST_BITS, FIRST_MAGIC, NEAR, SECOND_BITS, SECOND_MAGIC


class Kernel(NamedTuple):
    """`tally`: see `_pass`. `gather`: see `_gather`."""

    tally: Callable[..., int]
    gather: Callable[..., None]


_BYTES, _PAIRS = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF)
_EIGHT, _SIXTEEN, _HALF = np.uint64(8), np.uint64(16), np.uint64(32)

_kernel: list[Kernel] = []
_doubles: Any = None
_words: Any = None
"""What lies at an address, as so many doubles or words of 64 bits; only compiled code can call them."""


def kernel() -> Kernel | None:
    """The compiled passes; None until they were loaded."""
    return _kernel[0] if _kernel else None


def load() -> bool:
    """Compile the passes, or take them from Numba's cache; whether they are there now. They are not without Numba, nor
    where it may not compile (NUMBA_DISABLE_JIT)."""
    if not _kernel:
        try:
            import numba
        except ImportError:
            return False
        if numba.config.DISABLE_JIT:
            return False
        _kernel.append(_compiled(numba))
    return True


def unload() -> None:
    """Go back to NumPy."""
    _kernel.clear()


def _compiled(numba: Any) -> Kernel:
    global _doubles, _words
    types = numba.types
    _doubles, _words = _reading(numba, types.float64), _reading(numba, types.uint64)
    numbers = (types.float64, types.float64, types.boolean, types.boolean, types.uint64, types.uint64)
    where = (types.int64[::1], types.int64[::1])
    filled = (types.uint64[::1], types.int64[::1], types.float64[::1], types.int64[::1], types.float64[::1])
    tally = types.int64(*where, *numbers, *filled)
    gather = types.void(types.int64[::1], types.int64[::1], types.int64[::1], types.float64[::1])
    return Kernel(_jit(numba, tally, _pass), _jit(numba, gather, _gather))


def _jit(numba: Any, signature: Any, function: Callable[..., Any]) -> Callable[..., Any]:
    try:
        return numba.njit([signature], nogil=True, error_model="numpy", cache=True)(function)
    except RuntimeError:  # there is no place for a cache
        return numba.njit([signature], nogil=True, error_model="numpy")(function)


def _reading(numba: Any, kind: Any) -> Any:
    from numba.extending import intrinsic

    @intrinsic
    def pointer(_: Any, address: Any) -> Any:
        def made(context: Any, builder: Any, signature: Any, given: Any) -> Any:
            return builder.inttoptr(given[0], context.get_value_type(signature.return_type))

        return numba.types.CPointer(kind)(numba.types.int64), made

    @numba.njit(inline="always")
    def reading(address, count):
        return numba.carray(pointer(address), count)  # pyright: ignore[reportCallIssue]

    return reading


def _pass(addresses, rows, low, scale, bent, hashed, factor, absence, hashes, inner, ends, sums, away):
    """Add the doubles of a column, `rows` of each part at its address, to `inner` [INNER], `ends` [2], `sums` [3] (of
    positions, of squares, missing) and, where `hashed`, to `hashes` [all rows].

    Returns how many values are set apart into `away` [all rows]: those outside the inner cells, or, of a `bent` column,
    of which no cells are counted, those too far for near sums. No value too far is in `sums`.
    """
    count, place = 0, 0
    least, most = ends[0], ends[1]
    first, second, absent = np.int64(0), np.int64(0), np.int64(0)
    for part in range(len(addresses)):
        values, words = _doubles(addresses[part], rows[part]), _words(addresses[part], rows[part])
        for row in range(len(values)):
            value = values[row]
            if not np.isfinite(value):
                absent += 1
                if hashed:
                    hashes[place + row] += absence
                continue
            least = min(least, value)
            most = max(most, value)
            if hashed:
                word = words[row]  # its bytes from the other end
                word = ((word & _BYTES) << _EIGHT) | ((word >> _EIGHT) & _BYTES)
                word = ((word & _PAIRS) << _SIXTEEN) | ((word >> _SIXTEEN) & _PAIRS)
                hashes[place + row] += ((word << _HALF) | (word >> _HALF)) * factor
            position = (value - low) * scale
            near = abs(position) <= NEAR
            if not bent and position >= 0.0 and position < INNER:
                inner[np.int64(position)] += 1
            elif not (bent and near):
                away[count] = value
                count += 1
            if near:
                first += np.int64(((position + FIRST_MAGIC) - FIRST_MAGIC) * 2.0**FIRST_BITS)
                second += np.int64(((position * position + SECOND_MAGIC) - SECOND_MAGIC) * 2.0**SECOND_BITS)
        place += rows[part]
    ends[0], ends[1] = least, most
    sums[0] += first
    sums[1] += second
    sums[2] += absent
    return count


def _gather(addresses, parts, rows, found):
    """The doubles at some `rows` of some `parts` into `found` [places]."""
    for place in range(len(parts)):
        found[place] = _doubles(addresses[parts[place]], rows[place] + 1)[rows[place]]
