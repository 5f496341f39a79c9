"""What every keyring must do, over each adapter."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from shared.keyring.keyring import KEY_BYTES, TOKEN_PREFIX, Destroyed, Keyring, SubjectKey
from shared.keyring.memory import MemoryKeyring
from shared.keyring.postgres import PostgresKeyring


@pytest.fixture(params=["memory", "postgres"])
def made(request: pytest.FixtureRequest) -> Keyring:
    return MemoryKeyring() if request.param == "memory" else PostgresKeyring(request.getfixturevalue("postgres_dsn"))


@pytest.fixture
async def keyring(made: Keyring) -> AsyncIterator[Keyring]:
    yield made
    await made.close()


async def test_a_subject_has_one_key_however_often_and_by_however_many_it_is_asked_for(keyring: Keyring) -> None:
    together = await asyncio.gather(*(keyring.keys(["ada", "bob"]) for _ in range(8)))
    (again,) = {tuple(found.items()) for found in together}
    keys = dict(again)
    assert keys["ada"].token != keys["bob"].token
    assert keys["ada"].key != keys["bob"].key
    assert len(keys["ada"].key) == KEY_BYTES
    assert keys["ada"].token.startswith(TOKEN_PREFIX)
    assert await keyring.token("ada") == keys["ada"].token
    assert await keyring.key(keys["bob"].token) == keys["bob"]


async def test_asking_for_a_token_makes_none(keyring: Keyring) -> None:
    assert await keyring.token("nobody yet") is None
    assert await keyring.key(TOKEN_PREFIX + "00" * 16) is None


async def test_a_destroyed_key_is_gone_and_known_to_be_and_another_subject_keeps_its_own(keyring: Keyring) -> None:
    keys = await keyring.keys(["carl", "dora"])
    assert await keyring.destroy(keys["carl"].token)
    assert not await keyring.destroy(keys["carl"].token)
    assert isinstance(await keyring.key(keys["carl"].token), Destroyed)
    assert await keyring.token("carl") is None
    assert await keyring.key(keys["dora"].token) == keys["dora"]


async def test_who_comes_again_gets_another_token_and_key_which_an_old_word_of_forgetting_leaves_alone(
    keyring: Keyring,
) -> None:
    old = (await keyring.keys(["emil"]))["emil"]
    await keyring.destroy(old.token)
    new = (await keyring.keys(["emil"]))["emil"]
    assert (new.token, new.key) != (old.token, old.key)
    assert not await keyring.destroy(old.token)
    assert await keyring.key(new.token) == new
    assert isinstance(await keyring.key(old.token), Destroyed)


async def test_blinding_is_the_same_here_and_cannot_be_done_elsewhere(keyring: Keyring) -> None:
    assert await keyring.blind("x") == await keyring.blind("x") != await keyring.blind("y")
    assert await MemoryKeyring().blind("x") != await keyring.blind("x")


def test_a_key_does_not_show_where_its_holder_is_printed() -> None:
    assert "secret" not in repr(SubjectKey("subject:1", b"secret"))


async def test_postgres_keeps_neither_the_subject_nor_after_it_was_destroyed_any_trace_of_the_key(
    postgres_dsn: str,
) -> None:
    first, second = PostgresKeyring(postgres_dsn), PostgresKeyring(postgres_dsn)
    key = (await first.keys(["ada@example.org"]))["ada@example.org"]
    assert (await second.keys(["ada@example.org"]))["ada@example.org"] == key  # of another process
    connection = await asyncpg.connect(postgres_dsn)
    try:
        dump = str(await connection.fetch("SELECT * FROM keyring.subjects"))
        assert key.token in dump
        assert "ada@" not in dump  # "ada" alone is hexadecimal, and may be part of a token
        assert await second.destroy(key.token)
        for table in ("subjects", "destroyed"):
            rows = str(await connection.fetch(f"SELECT * FROM keyring.{table}"))
            assert key.key.hex() not in rows
        assert isinstance(await first.key(key.token), Destroyed)
        owner = await connection.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'subjects'")
        assert owner == "muniment_keyring"
    finally:
        await connection.close()
        await first.close()
        await second.close()
