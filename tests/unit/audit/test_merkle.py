"""Trees, proofs and tiles against known answers, the RFC's own recursion and an implementation by others."""

from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sigstore._internal import merkle as sigstore  # RFC 6962 by others, as Rekor's clients check it

from services.audit.domain import merkle, tiles
from services.audit.domain.merkle import Frontier, Range

ENTRIES = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
ENTRIES += [bytes(range(0x50, 0x58)), bytes(range(0x60, 0x70))]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The test vectors that implementations of Certificate Transparency share: the root after each of the entries."""


def recursive_root(hashes: list[bytes]) -> bytes:
    """MTH as RFC 6962 §2.1 writes it."""
    if not hashes:
        return sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = _k(len(hashes))
    return sha256(b"\x01" + recursive_root(hashes[:k]) + recursive_root(hashes[k:])).digest()


def recursive_path(m: int, hashes: list[bytes]) -> list[bytes]:
    """PATH as RFC 6962 §2.1.1 writes it."""
    if len(hashes) == 1:
        return []
    k = _k(len(hashes))
    if m < k:
        return [*recursive_path(m, hashes[:k]), recursive_root(hashes[k:])]
    return [*recursive_path(m - k, hashes[k:]), recursive_root(hashes[:k])]


def recursive_consistency(m: int, hashes: list[bytes], whole: bool = True) -> list[bytes]:
    """SUBPROOF as RFC 6962 §2.1.2 writes it."""
    n = len(hashes)
    if m == n:
        return [] if whole else [recursive_root(hashes)]
    k = _k(n)
    if m <= k:
        return [*recursive_consistency(m, hashes[:k], whole), recursive_root(hashes[k:])]
    return [*recursive_consistency(m - k, hashes[k:], False), recursive_root(hashes[:k])]


def _k(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(str(number).encode()) for number in range(count)]


def grown(steps: list[int]) -> dict[tiles.Tile, bytes]:
    """The tiles of a tree that grew by so many leaves at a time, knowing only its edge each time."""
    kept: dict[tiles.Tile, bytes] = {}
    size = 0
    for step in steps:
        edge = {tile: kept[tile] for tile in tiles.edge(size)}
        kept |= tiles.grow(size, edge, leaves(size + step)[size:])
        size += step
    return kept


def roots(ranges: list[Range], kept: dict[tiles.Tile, bytes]) -> list[bytes]:
    wanted = tiles.needed(ranges)
    return [tiles.range_root(one, {tile: kept[tile] for tile in wanted}) for one in ranges]


def test_the_shared_test_vectors():
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES]
    for size in range(1, 9):
        assert merkle.root(hashes[:size]).hex() == ROOTS[size - 1]
        assert Frontier().extended(hashes[:size]).root.hex() == ROOTS[size - 1]
    assert merkle.root([]) == Frontier().root == sha256().digest()


def test_a_proof_that_the_shared_vectors_know():
    hashes = [merkle.leaf_hash(entry) for entry in ENTRIES]
    proof = [recursive_root(hashes[one.start : one.end]).hex() for one in merkle.inclusion_ranges(5, 8)]
    assert proof == [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ]


SIZES = st.integers(1, 70) | st.sampled_from([255, 256, 257, 511, 513, 700])


@given(SIZES, st.data())
@settings(deadline=None)
def test_roots_and_proofs_are_those_of_the_rfc(size, data):
    hashes = leaves(size)
    index = data.draw(st.integers(0, size - 1))
    old = data.draw(st.integers(1, size))
    whole = recursive_root(hashes)
    assert merkle.root(hashes) == Frontier().extended(hashes[:old]).extended(hashes[old:]).root == whole
    kept = grown([size])
    path = roots(merkle.inclusion_ranges(index, size), kept)
    assert path == recursive_path(index, hashes)
    assert merkle.verify_inclusion(hashes[index], index, size, path, whole)
    proof = roots(merkle.consistency_ranges(old, size), kept)
    assert proof == recursive_consistency(old, hashes)
    assert merkle.verify_consistency(old, recursive_root(hashes[:old]), size, whole, proof)


@given(SIZES, st.data())
@settings(deadline=None)
def test_an_implementation_by_others_accepts_the_proofs(size, data):
    index = data.draw(st.integers(0, size - 1))
    path = roots(merkle.inclusion_ranges(index, size), grown([size]))
    inner, border = sigstore._decomp_inclusion_proof(index, size)
    assert len(path) == inner + border
    seed = sigstore._chain_inner(sigstore._hash_leaf(str(index).encode()), path[:inner], index)
    assert sigstore._chain_border_right(seed, path[inner:]) == merkle.root(leaves(size))


@given(SIZES, st.data())
@settings(deadline=None)
def test_no_other_leaf_place_size_or_proof_is_accepted(size, data):
    hashes = leaves(size)
    whole, index = merkle.root(hashes), data.draw(st.integers(0, size - 1))
    path = roots(merkle.inclusion_ranges(index, size), grown([size]))
    assert not merkle.verify_inclusion(merkle.leaf_hash(b"forged"), index, size, path, whole)
    assert not merkle.verify_inclusion(hashes[index], size, size, path, whole)
    assert not merkle.verify_inclusion(hashes[index], index, size, [*path, whole], whole)
    if path:
        other = data.draw(st.integers(0, size - 1).filter(lambda one: one != index))
        assert not merkle.verify_inclusion(hashes[index], other, size, path, whole)
        flipped = data.draw(st.integers(0, len(path) - 1))
        broken = [*path[:flipped], merkle.leaf_hash(path[flipped]), *path[flipped + 1 :]]
        assert not merkle.verify_inclusion(hashes[index], index, size, broken, whole)
        assert not merkle.verify_inclusion(hashes[index], index, size, path[:-1], whole)


@given(st.integers(2, 300), st.data())
@settings(deadline=None)
def test_a_tree_that_was_rewritten_is_not_consistent(size, data):
    hashes = leaves(size)
    old = data.draw(st.integers(1, size - 1))
    before = merkle.root(hashes[:old])
    changed = data.draw(st.integers(0, old - 1))
    forged = [*hashes[:changed], merkle.leaf_hash(b"forged"), *hashes[changed + 1 :]]
    proof = recursive_consistency(old, forged)
    assert not merkle.verify_consistency(old, before, size, merkle.root(forged), proof)
    honest = recursive_consistency(old, hashes)
    assert not merkle.verify_consistency(old, before, size, merkle.root(forged), honest)
    assert not merkle.verify_consistency(old, before, size, merkle.root(hashes), [*honest, before])


def test_the_edges_of_consistency():
    hashes = leaves(4)
    whole = merkle.root(hashes)
    assert merkle.verify_consistency(0, merkle.EMPTY_ROOT, 4, whole, [])
    assert merkle.verify_consistency(4, whole, 4, whole, [])
    assert not merkle.verify_consistency(4, merkle.root(leaves(3)), 4, whole, [])
    assert not merkle.verify_consistency(5, whole, 4, whole, [])
    assert not merkle.verify_consistency(0, whole, 4, whole, [])
    for call in (lambda: merkle.inclusion_ranges(4, 4), lambda: merkle.consistency_ranges(5, 4)):
        with pytest.raises(ValueError, match="a tree of 4 leaves"):
            call()


@given(st.lists(st.integers(1, 400), min_size=1, max_size=6))
@settings(deadline=None)
def test_tiles_are_the_same_however_the_tree_grew(steps):
    kept = grown(steps)
    assert kept == grown([sum(steps)])
    size = sum(steps)
    assert {tile: len(hashes) // 32 for tile, hashes in kept.items()} == {
        tile: tiles.width(tile, size) for tile in kept
    }
    assert tiles.range_root(Range(0, size), kept) == merkle.root(leaves(size))
    edge = {tile: kept[tile] for tile in tiles.edge(size)}
    assert tiles.range_root(Range(0, size), edge) == merkle.root(leaves(size))


def test_the_tree_of_70_000_leaves_that_the_specification_tells():
    size = 70_000
    counts = {level: [tiles.width(tiles.Tile(level, n), size) for n in range(300)] for level in range(4)}
    full = {level: widths.count(256) for level, widths in counts.items()}
    partial = {level: [w for w in widths if 0 < w < 256] for level, widths in counts.items()}
    assert (full, partial) == ({0: 273, 1: 1, 2: 0, 3: 0}, {0: [112], 1: [17], 2: [1], 3: []})
    assert tiles.edge(size) == [(0, 273), (1, 1), (2, 0)]
    assert tiles.edge(256) == [(1, 0)]
    assert tiles.edge(0) == []


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("0/x001/x234/067", (0, 1_234_067, 256)),
        ("1/000.p/8", (1, 0, 8)),
        ("entries/x001/000", (None, 1_000, 256)),
        ("entries/999.p/255", (None, 999, 255)),
    ],
)
def test_paths_of_tiles(text, asked):
    assert tiles.parse_path(text) == asked
    assert tiles.path(tiles.Asked(*asked)) == text


@pytest.mark.parametrize(
    "text",
    [
        "0/1",
        "00/001",
        "0/x000/001",
        "64/000",
        "0/000.p/256",
        "0/000.p/0",
        "0/000.p/",
        "x/000",
        "0/001/",
        "-1/000",
        "",
        "0/٠٠١",
    ],
)
def test_what_is_no_path_of_a_tile(text):
    with pytest.raises(ValueError, match="no path of a tile"):
        tiles.parse_path(text)


def test_bundles_tell_lengths_and_refuse_what_they_cannot_tell():
    assert tiles.bundle([b"ab", b""]) == b"\x00\x02ab\x00\x00"
    with pytest.raises(tiles.EntryTooLong) as raised:
        tiles.bundle([b"", bytes(65_536)])
    assert raised.value.place == 1
    assert b64encode(tiles.bundle([bytes(65_535)])[:2]) == b"//8="
