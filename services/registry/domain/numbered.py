"""Values by number, some of them still packed as a snapshot keeps them: what nobody looks at is never unpacked."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Generic, TypeVar, cast

from immutables import Map

T = TypeVar("T")


class Pack(Generic[T]):
    """Values of the numbers from `first` on. `unpack` gives the text of each, `read` the value of one text; both are
    pure, so that it does not show when they are called."""

    __slots__ = ("_body", "_read", "_texts", "_unpack", "_values", "first")

    def __init__(
        self, first: int, body: bytes, unpack: Callable[[bytes], Sequence[bytes]], read: Callable[[bytes], T]
    ) -> None:
        self.first, self._body, self._unpack, self._read = first, body, unpack, read
        self._texts: Sequence[bytes] = ()
        self._values: dict[int, T] = {}

    def value(self, number: int) -> T:
        if number not in self._values:
            if not self._texts:
                self._texts, self._body = self._unpack(self._body), b""
            self._values[number] = self._read(self._texts[number - self.first])
        return self._values[number]


class Numbered(Mapping[int, T]):
    """An immutable mapping, in no order; `set` gives another one that shares all else with it."""

    __slots__ = ("_kept",)

    def __init__(self, kept: "Map[int, T | Pack[T]] | None" = None) -> None:
        self._kept: Map[int, T | Pack[T]] = Map() if kept is None else kept

    def set(self, number: int, value: T) -> "Numbered[T]":
        return Numbered(self._kept.set(number, value))

    def same(self, other: "Numbered[T]", number: int) -> bool:
        """Whether the other holds the very same value under a number, told without unpacking either."""
        return self._kept.get(number) is other._kept.get(number)

    def __getitem__(self, number: int) -> T:
        found = self._kept[number]
        return cast("Pack[T]", found).value(number) if isinstance(found, Pack) else found

    def __contains__(self, number: object) -> bool:
        return number in self._kept

    def __iter__(self) -> Iterator[int]:
        return iter(self._kept)

    def __len__(self) -> int:
        return len(self._kept)


def packed(packs: Iterable[tuple[Pack[T], int]]) -> Numbered[T]:
    """Out of packs, with how many values each holds."""
    kept: dict[int, T | Pack[T]] = {}
    for pack, count in packs:
        kept |= dict.fromkeys(range(pack.first, pack.first + count), pack)
    return Numbered(Map(kept))
