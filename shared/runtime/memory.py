"""How a process that serves holds its memory: two settings of the interpreter and its allocator, made once at start."""

import contextlib
import ctypes
import gc

COLLECT_EVERY = 10_000
"""Objects made and not freed between two collections of the youngest. Not more, since one of them may hold a body."""

REFILLING_COLLECTS_EVERY = 200_000
"""The same where views are filled anew: thousands of events are in hand at once, and a tenth of the work went into
walks over them."""

KEPT_BYTES = 32 * 2**20
"""Freed memory at the top of the heap that is kept instead of given back."""

LARGE_BYTES = 4 * 2**20
"""Size from which a piece of memory is asked of the system, and given back to it, by itself."""

ARENAS = 2
"""Heaps that threads share; each keeps its own freed memory."""

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # malloc.h of glibc


def settle(collect_every: int = COLLECT_EVERY) -> None:
    """Collect seldom, never look again at what was loaded at the start, and keep freed memory for the next request.

    Events, rows and requests are freed by their reference counts: a third of the time of a fold went into walks over
    objects none of which they would free. And a body of 100 KB is by default new memory from the system for every copy,
    a page fault for each 4 KB: a fifth of what taking in a batch cost.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(collect_every, 10, 10)
    with contextlib.suppress(OSError, AttributeError):  # another C library has no mallopt
        library = ctypes.CDLL(None)
        for parameter, value in (
            (_M_MMAP_THRESHOLD, LARGE_BYTES),
            (_M_TRIM_THRESHOLD, KEPT_BYTES),
            (_M_ARENA_MAX, ARENAS),
        ):
            library.mallopt(parameter, value)
