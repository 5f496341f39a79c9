"""Sealing: what goes in comes out with its own key alone, and nothing of it shows."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.events import batches
from shared.keyring.keyring import SubjectKey, new_key
from shared.keyring.memory import MemoryKeyring
from shared.keyring.sealing import NoSubject, opened, seal, sealed, subjects_of, unseal

KEY = new_key()
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.text(), st.floats(allow_nan=False))
BATCH = pa.record_batch(
    {
        "at": pa.array([1, 2, 3], pa.int64()).view(batches.TIMESTAMP),
        "entity": ["ada@home", "bob@home", "ada@home"],
        "feature.income": [1.5, None, 2.5],
        "feature.name": ["Ada L.", "Bob B.", "Ada M."],
        "feature.hour": [1, 2, 3],
        "output.p": [0.1, 0.2, 0.3],
    }
)
PERSONAL = ("income", "name")


@given(st.dictionaries(st.text(max_size=20), VALUES.filter(lambda one: one not in (float("inf"), -float("inf")))))
def test_what_is_sealed_comes_out_with_its_key(values) -> None:
    assert unseal(KEY, seal(KEY, values)) == values


def test_another_key_another_token_and_every_changed_character_are_refused() -> None:
    text = seal(KEY, {"feature.name": "Ada"})
    other = new_key()
    for wrong in (other, SubjectKey(other.token, KEY.key), SubjectKey(KEY.token, other.key)):
        with pytest.raises(ValueError, match="not what was sealed"):
            unseal(wrong, text)
    for place in range(len(text)):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        with pytest.raises(ValueError, match="sealed"):
            unseal(KEY, changed)
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = letters.index(text[-2])
    assert (text[-1], last % 4) == ("=", 0), "the last letter stands for four bits, and two that mean nothing"
    for spelling in (text[:-2] + letters[last + bits] + "=" for bits in (1, 2, 3)):
        with pytest.raises(ValueError, match="sealed"):
            unseal(KEY, spelling)
    for torn in ("", "v1.", text[:20], "v2." + text[3:], "v1.!!!!"):
        with pytest.raises(ValueError, match="sealed"):
            unseal(KEY, torn)


def test_equal_values_do_not_look_equal_nor_tell_their_length() -> None:
    texts = [seal(KEY, {"feature.name": name}) for name in ("Ada", "Ada", "Maximiliane")]
    assert len(set(texts)) == 3
    assert len({len(text) for text in texts}) == 1


async def test_a_batch_keeps_what_is_not_personal_and_hides_the_rest() -> None:
    keyring = MemoryKeyring()
    subjects = subjects_of(BATCH, "entity")
    keys = await keyring.keys(subjects)
    hidden = sealed(BATCH, PERSONAL, subjects, keys)
    assert set(hidden.schema.names) == {"at", "entity", "feature.hour", "output.p", batches.SEALED}
    for name in ("at", "feature.hour", "output.p"):
        assert hidden.column(name).equals(BATCH.column(name))
    assert hidden.column("entity").to_pylist() == [keys[one].token for one in ("ada@home", "bob@home", "ada@home")]
    data = batches.write(hidden)
    # each with a character that neither a token (hexadecimal) nor a sealed text (base64) has
    for plain in (b"ada@", b"Ada ", b"bob@", b"Bob ", b"feature.income", b"feature.name"):
        assert plain not in data
    for key in keys.values():
        assert key.key not in data
    rows = hidden.to_pylist()
    one = await opened(keyring, rows[0], True)
    assert one is not None
    assert (one.state, one.entity, one.features) == ("open", "ada@home", {"income": 1.5, "name": "Ada L."})
    assert (await opened(keyring, rows[1], True)).features == {"income": None, "name": "Bob B."}  # type: ignore[union-attr]
    assert (await opened(keyring, rows[1], False)).state == "withheld"  # type: ignore[union-attr]
    await keyring.destroy(keys["ada@home"].token)
    for place, state in ((0, "erased"), (1, "open"), (2, "erased")):
        found = await opened(keyring, rows[place], True)
        assert found is not None
        assert found.state == state
    stranger = await opened(MemoryKeyring(), rows[1], True)
    assert stranger is not None
    assert (stranger.state, stranger.features, stranger.entity) == ("unreadable", {}, None)
    assert await opened(keyring, BATCH.to_pylist()[0], True) is None


def test_a_row_without_a_subject_is_named() -> None:
    with pytest.raises(NoSubject, match="row 1 has no entity"):
        subjects_of(pa.record_batch({"entity": ["ada", None]}), "entity")
    with pytest.raises(NoSubject, match=r"row 0 has no feature\.customer"):
        subjects_of(BATCH, "customer")
    with pytest.raises(NoSubject, match="row 0"):
        subjects_of(pa.record_batch({"entity": ["x" * 501]}), "entity")
    assert subjects_of(BATCH, "hour") == ["1", "2", "3"]
