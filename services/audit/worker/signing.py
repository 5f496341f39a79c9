"""The key that signs: in a file that only its owner may read, on record from its first use, and rotated by a new line.

The file holds one `PRIVATE+KEY+…` a line; the last one signs. Where the key that signs on record is in the file too, it
endorses the one that takes over. A line `# replaces VERIFIERKEY` says that this key is lost and may be replaced without
its word.
"""

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from services.audit.domain import keys
from services.audit.domain.note import BadNote, SignerKey, parse_signer, usable_name
from shared.log.store import UnitOfWork
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service
from shared.runtime.settings import Settings

ACTOR = "audit"
LOST = "# replaces "


class SigningKeyMissing(Exception):
    """Why nothing can be signed, for a person to read."""


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The file of private keys."""

    path: Path

    @classmethod
    def of(cls, settings: Settings) -> "KeyFile":
        return cls(settings.signing_key or settings.data_dir / "signing.key")

    def read(self) -> tuple[list[SignerKey], set[str]]:
        """The keys, the newest last, and the verifier keys said to be lost. Raises SigningKeyMissing."""
        try:
            lines = [line.strip() for line in self.path.read_text().splitlines()]
        except FileNotFoundError:
            return [], set()
        except OSError as error:
            raise SigningKeyMissing(f"the signing key {self.path} cannot be read: {error.strerror}") from error
        lost = {line.removeprefix(LOST).strip() for line in lines if line.startswith(LOST)}
        try:
            return [parse_signer(line) for line in lines if line and not line.startswith("#")], lost
        except BadNote as error:
            raise SigningKeyMissing(f"the signing key {self.path} is damaged: {error}") from error

    def add(self, name: str, lost: str | None = None) -> SignerKey:
        """Make a key and write it behind the others, on the disk when this returns. Raises SigningKeyMissing."""
        if not usable_name(name):
            raise SigningKeyMissing(f"'{name}' cannot name a tree: no spaces and no plus (MUNIMENT_TREE_ORIGIN)")
        key = SignerKey(name, secrets.token_bytes(32))
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "a") as file:
                file.write((f"{LOST}{lost}\n" if lost else "") + key.encoded + "\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SigningKeyMissing(f"the signing key {self.path} cannot be written: {error.strerror}") from error
        return key


@dataclass(frozen=True, slots=True)
class Signing:
    """Which key signs."""

    service: Service

    async def current(self, unit: UnitOfWork) -> SignerKey:
        """The newest key of the file, on record. Raises SigningKeyMissing where the file does not hold the key on
        record, and nobody said that it is lost: then another machine holds it."""
        file = KeyFile.of(self.service.settings)
        _, state = await self.service.commands.state_in(unit, keys, keys.SUBJECT)
        held, lost = file.read()
        if state.verifier is None and not held:
            held = [file.add(self.service.settings.tree_origin or f"muniment.local/{secrets.token_hex(6)}")]
        by_name = {str(key.verifier): key for key in held}
        if state.verifier is not None and state.verifier not in by_name and state.verifier not in lost:
            raise SigningKeyMissing(
                f"checkpoints are signed by {state.verifier}, whose private key is not in {file.path}; copy it there "
                "from the worker that has it, or, if it is lost, see `muniment signing-key rotate --help`"
            )
        if not held:
            raise SigningKeyMissing(f"{file.path} holds no private key; see `muniment signing-key rotate --help`")
        newest = held[-1]
        if str(newest.verifier) != state.verifier:
            await self._adopt(unit, newest, state.verifier, by_name.get(state.verifier or ""))
        return newest

    async def _adopt(self, unit: UnitOfWork, new: SignerKey, replaces: str | None, old: SignerKey | None) -> None:
        if replaces is not None and new.name != replaces.partition("+")[0]:
            raise SigningKeyMissing(f"the new key is named {new.name}; the tree stays {replaces.partition('+')[0]}")
        command = keys.Adopt(new.verifier, keys.endorse(new, replaces, old))
        context = Context(ACTOR, now(), new_id())
        await self.service.commands.handle_in(unit, keys, keys.SUBJECT, command, context)
