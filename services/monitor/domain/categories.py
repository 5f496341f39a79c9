"""Counts of a categorical column in bounded memory, the same whatever the order.

Declared values (those of the reference) are counted exactly, and so are others up to a limit; past it, those of the
lowest CRC-32 stay exact and the rest goes into a count-min sketch, from which a value's count is read with an error of
at most e / WIDTH of the rest (with probability 1 - e^-DEPTH). Space-saving and other lists of frequent items depend on
the order; a count-min sketch adds up. Names of frequent values in the rest come from the sample of rows.
Source: Cormode and Muthukrishnan, An Improved Data Stream Summary, J. Algorithms 55(1), 2005.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import blake2b
from zlib import crc32

import numpy as np

from services.monitor.domain.grid import Ints

DEPTH, WIDTH = 4, 256


@dataclass(frozen=True, slots=True)
class Categories:
    """`declared` and `counts` (others) by value, exact; `other`: rows of all values beyond them, which `rest` [DEPTH,
    WIDTH] counts by their hashes (None: there are none); `missing`: rows without value."""

    declared: Mapping[str, int] = field(default_factory=dict[str, int])
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    other: int = 0
    missing: int = 0
    rest: Ints | None = None

    @property
    def known(self) -> int:
        """Rows with a value."""
        return sum(self.declared.values()) + self.undeclared

    @property
    def undeclared(self) -> int:
        """Rows with a value that is not declared."""
        return sum(self.counts.values()) + self.other

    @property
    def named(self) -> dict[str, int]:
        """Rows by value, of all that are counted one by one."""
        return {**self.declared, **self.counts}

    def estimate(self, name: str) -> int:
        """How often a value came: exact for those counted, else at most this often."""
        exact = self.declared.get(name, self.counts.get(name))
        if exact is not None or self.rest is None:
            return exact or 0
        return int(self.rest[np.arange(DEPTH), _places(name)].min())


def counted(found: Iterable[tuple[str, int]], missing: int, declared: Iterable[str], limit: int) -> Categories:
    """Categories of these values; each value may come several times."""
    known = dict.fromkeys(declared, 0)
    counts: dict[str, int] = {}
    for name, count in found:
        into = known if name in known else counts
        into[name] = into.get(name, 0) + count
    return limited(Categories({name: count for name, count in known.items() if count}, counts, 0, missing), limit)


def merge_categories(
    left: Mapping[str, Categories], right: Mapping[str, Categories], limit: int
) -> dict[str, Categories]:
    """Counts added, column by column. Both sides must have been counted with the same declared values."""
    merged = dict(left)
    for name, more in right.items():
        have = merged.get(name)
        merged[name] = limited(more, limit) if have is None else _together(have, more, limit)
    return merged


def limited(categories: Categories, limit: int) -> Categories:
    """At most `limit` values that are not declared: those of the lowest CRC-32."""
    counts = categories.counts
    if len(counts) <= limit:
        return categories
    ranked = sorted(counts, key=lambda name: (crc32(name.encode()), name))
    rest = np.zeros((DEPTH, WIDTH), np.int64) if categories.rest is None else categories.rest.copy()
    moved = 0
    for name in ranked[limit:]:
        rest[np.arange(DEPTH), _places(name)] += counts[name]
        moved += counts[name]
    kept = {name: counts[name] for name in ranked[:limit]}
    return Categories(categories.declared, kept, categories.other + moved, categories.missing, rest)


def _together(left: Categories, right: Categories, limit: int) -> Categories:
    rest = left.rest if right.rest is None else right.rest if left.rest is None else left.rest + right.rest
    both = Categories(
        _added(left.declared, right.declared),
        _added(left.counts, right.counts),
        left.other + right.other,
        left.missing + right.missing,
        rest,
    )
    return limited(both, limit)


def _added(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    counts = dict(left)
    for value, count in right.items():
        counts[value] = counts.get(value, 0) + count
    return counts


@lru_cache(maxsize=4_096)
def _places(name: str) -> Ints:
    digest = blake2b(name.encode(), digest_size=2 * DEPTH).digest()
    return np.frombuffer(digest, "<u2").astype(np.int64) % WIDTH
