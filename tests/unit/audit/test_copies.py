"""Copies of checkpoints in other hands: what is kept once stays, and the newest stays the newest."""

from pathlib import Path

import pytest

from services.audit.proofs.copies import Copies, CopyDiffers


def text(size: int, root: str = "root") -> str:
    return f"example.org/models\n{size}\n{root}\n"


def put(copies: Copies, size: int, root: str = "root", signature: str = "ours") -> str:
    note = f"{text(size, root)}\n— {signature}\n"
    copies.put(size, text(size, root), note)
    return note


def test_each_is_kept_and_the_newest_is_at_hand(tmp_path: Path):
    copies = Copies.of(str(tmp_path))
    assert copies.sizes() == []
    first, second = put(copies, 3), put(copies, 12)
    assert (copies.sizes(), copies.of_size(3), copies.read("checkpoint")) == ([3, 12], first, second)


def test_an_older_checkpoint_published_again_is_no_newest_one(tmp_path: Path):
    """As while the tree is rebuilt: whoever reads the place must not see the record shrink."""
    copies = Copies.of(str(tmp_path))
    first, second = put(copies, 3), put(copies, 12)
    put(copies, 3, signature="another")
    put(copies, 7)
    assert (copies.of_size(3), copies.read("checkpoint"), copies.sizes()) == (first, second, [3, 7, 12])


def test_another_checkpoint_of_the_same_size_is_another_view(tmp_path: Path):
    copies = Copies.of(str(tmp_path))
    first = put(copies, 3)
    with pytest.raises(CopyDiffers, match="another checkpoint of 3 leaves"):
        put(copies, 3, root="other")
    assert copies.read("checkpoint") == first


@pytest.mark.parametrize("lie", ["", "x", "a\n99\nb\n", "a\n-1\n", "a\n" + "9" * 40 + "\n"])
def test_a_newest_one_that_is_none_is_written_anew(tmp_path: Path, lie: str):
    copies = Copies.of(str(tmp_path))
    put(copies, 3)
    (tmp_path / "checkpoint").write_text(lie)
    assert put(copies, 4) == copies.read("checkpoint")
