"""Keyring: one key per subject, kept outside the log, so that what the log holds of a person can be made unreadable.

Adapters: `shared.keyring.memory`, `shared.keyring.postgres`; both pass `tests/contract/test_keyring.py`.

A subject (a customer's number, an address, …) is never kept. What is kept is a handle, HMAC-SHA256 of it under a secret
of the keyring, so that the same subject meets its key again; and a `token`, drawn at random with each key, which stands
in the log in the subject's place. Once a key is destroyed its handle is gone with it: nothing leads from the person to
the token any more, and data that come later get another token and another key.
"""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Protocol

KEY_BYTES = 32
"""Of AES-256."""

TOKEN_PREFIX = "subject:"  # noqa: S105  what stands in the log, no secret
TOKEN_BYTES = 16
MAX_SUBJECT = 500
"""Characters of a subject."""


class KeyringUnavailable(Exception):
    """The keyring cannot be reached, or there is none; nothing was encrypted and nothing was written."""


@dataclass(frozen=True, slots=True)
class SubjectKey:
    """The key of one subject, and the token under which the log knows that subject."""

    token: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Destroyed:
    """The key of this token was destroyed: what it encrypted cannot be read any more, by anybody."""

    token: str
    at: datetime


class Keyring(Protocol):
    """All methods raise KeyringUnavailable."""

    async def keys(self, subjects: Sequence[str]) -> dict[str, SubjectKey]:
        """The key of each of these subjects, by subject; made where there is none, and kept before this returns."""
        ...

    async def token(self, subject: str) -> str | None:
        """The token of a subject whose key is there; makes none."""
        ...

    async def key(self, token: str) -> SubjectKey | Destroyed | None:
        """The key of a token, or that it was destroyed, or None where this keyring never had it."""
        ...

    async def destroy(self, token: str) -> bool:
        """Destroy the key of a token for good; False where it was not there any more. Safe to repeat."""
        ...

    async def blind(self, text: str) -> str:
        """HMAC-SHA256 (hex) of a text under the keyring's secret: to be recognised by, and not to be guessed at."""
        ...

    async def close(self) -> None: ...


class NoKeyring:
    """In the place of a keyring where none was wired: personal data are then refused."""

    async def keys(self, subjects: Sequence[str]) -> dict[str, SubjectKey]:
        raise _none()

    async def token(self, subject: str) -> str | None:
        raise _none()

    async def key(self, token: str) -> SubjectKey | Destroyed | None:
        raise _none()

    async def destroy(self, token: str) -> bool:
        raise _none()

    async def blind(self, text: str) -> str:
        raise _none()

    async def close(self) -> None:
        """Nothing was opened."""


def new_key() -> SubjectKey:
    """A key and a token drawn at random."""
    return SubjectKey(TOKEN_PREFIX + secrets.token_hex(TOKEN_BYTES), secrets.token_bytes(KEY_BYTES))


def blinded(secret: bytes, text: str) -> str:
    """HMAC-SHA256 (hex) of a text."""
    return hmac.new(secret, text.encode(), sha256).hexdigest()


def _none() -> KeyringUnavailable:
    return KeyringUnavailable("this process was given no keyring")
