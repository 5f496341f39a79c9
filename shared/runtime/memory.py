"""How a process that serves holds its memory: two settings of the interpreter and its allocator, made once at start."""

import contextlib
import ctypes
import gc

COLLECT_EVERY = 50_000
"""Objects made and not freed between two collections of the youngest."""

KEPT_BYTES = 64 * 2**20
"""Freed memory at the top of the heap that is kept instead of given back, and the size from which a piece of memory is
asked of the system by itself."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3  # malloc.h of glibc


def settle() -> None:
    """Collect seldom, never look again at what was loaded at the start, and keep freed memory for the next request.

    Events, rows and requests are freed by their reference counts: a third of the time of a fold went into walks over
    objects none of which they would free. And a body of 100 KB is by default new memory from the system for every copy,
    a page fault for each 4 KB: a fifth of what taking in a batch cost.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(COLLECT_EVERY, 20, 50)
    with contextlib.suppress(OSError, AttributeError):  # another C library has no mallopt
        library = ctypes.CDLL(None)
        for parameter, value in (
            (_M_MMAP_THRESHOLD, KEPT_BYTES // 2),  # its greatest value allowed
            (_M_TRIM_THRESHOLD, KEPT_BYTES),
            (_M_TOP_PAD, KEPT_BYTES // 8),
        ):
            library.mallopt(parameter, value)
