"""A keyring for tests: gone with the process."""

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from shared.keyring.keyring import KEY_BYTES, Destroyed, SubjectKey, blinded, new_key


class MemoryKeyring:
    """See `shared.keyring.keyring.Keyring`."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(KEY_BYTES)
        self._by_handle: dict[str, SubjectKey] = {}
        self._by_token: dict[str, str] = {}
        self._destroyed: dict[str, Destroyed] = {}

    async def keys(self, subjects: Sequence[str]) -> dict[str, SubjectKey]:
        return {subject: self._one(blinded(self._secret, subject)) for subject in subjects}

    async def token(self, subject: str) -> str | None:
        found = self._by_handle.get(blinded(self._secret, subject))
        return found.token if found is not None else None

    async def key(self, token: str) -> SubjectKey | Destroyed | None:
        handle = self._by_token.get(token)
        return self._by_handle[handle] if handle is not None else self._destroyed.get(token)

    async def destroy(self, token: str) -> bool:
        handle = self._by_token.pop(token, None)
        if handle is None:
            return False
        del self._by_handle[handle]
        self._destroyed[token] = Destroyed(token, datetime.now(UTC))
        return True

    async def blind(self, text: str) -> str:
        return blinded(self._secret, text)

    async def close(self) -> None:
        """Nothing was opened."""

    def _one(self, handle: str) -> SubjectKey:
        found = self._by_handle.get(handle)
        if found is None:
            found = self._by_handle[handle] = new_key()
            self._by_token[found.token] = handle
        return found
