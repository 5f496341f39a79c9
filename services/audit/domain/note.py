"""Signed notes (c2sp.org/signed-note) with Ed25519, and the cosignatures of witnesses (c2sp.org/tlog-cosignature).

A private key is kept as Go's sumdb/note writes it: `PRIVATE+KEY+NAME+ID+BASE64(0x01 || seed)`. Signing is RFC 8032's,
which needs no randomness.
"""

from base64 import b64decode, b64encode
from binascii import Error
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

SIGNED, COSIGNED = 0x01, 0x04
"""Types of signatures: Ed25519 over the text, and a witness's timestamped one."""

MAX_SIGNATURES = 100
_PRIVATE = "PRIVATE+KEY+"
_DASH = "— "


class BadNote(ValueError):
    """What is no signed note, no key, or not signed by whom it should be; `str(error)` says why."""


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line. `data`: what the key made, behind its id."""

    name: str
    key_id: bytes
    data: bytes

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {b64encode(self.key_id + self.data).decode()}\n"


@dataclass(frozen=True, slots=True)
class Note:
    """A text, ending in a newline, and its signatures."""

    text: str
    signatures: tuple[Signature, ...] = ()

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def signed(self, *more: Signature) -> "Note":
        """The note with more signatures; one that it bears already is not repeated."""
        return Note(self.text, tuple(dict.fromkeys((*self.signatures, *more))))


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key by its name. `kind`: SIGNED or COSIGNED."""

    name: str
    kind: int
    public: bytes

    @property
    def key_id(self) -> bytes:
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{b64encode(bytes([self.kind]) + self.public).decode()}"

    def verifies(self, text: str, signature: Signature) -> bool:
        """Whether the signature is this key's over the text."""
        if (signature.name, signature.key_id) != (self.name, self.key_id):
            return False
        message, data = text.encode(), signature.data
        if self.kind == COSIGNED:
            if len(data) != 72:
                return False
            message, data = cosigned_message(text, timestamp(signature)), data[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(data, message)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class SignerKey:
    """A private key by its name; never in an answer or a log."""

    name: str
    seed: bytes

    @property
    def verifier(self) -> VerifierKey:
        return VerifierKey(self.name, SIGNED, _private(self.seed).public_key().public_bytes_raw())

    @property
    def encoded(self) -> str:
        data = b64encode(bytes([SIGNED]) + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.key_id.hex()}+{data}"

    def __repr__(self) -> str:
        return f"SignerKey({self.name!r}, …)"

    def sign(self, text: str) -> Signature:
        return Signature(self.name, self.verifier.key_id, _private(self.seed).sign(text.encode()))


def parse(data: str) -> Note:
    """A signed note. Raises BadNote."""
    if any(character < " " and character != "\n" for character in data):
        raise BadNote("a note holds no control characters")
    text, separator, lines = data.rpartition("\n\n")
    if not separator or not lines.endswith("\n"):
        raise BadNote("a note is a text, an empty line and signature lines")
    signatures = tuple(parse_signature(line) for line in lines[:-1].split("\n")[: MAX_SIGNATURES + 1])
    if len(signatures) > MAX_SIGNATURES:
        raise BadNote(f"a note bears at most {MAX_SIGNATURES} signatures")
    return Note(text + "\n", signatures)


def parse_signature(line: str) -> Signature:
    """One signature line, without its newline. Raises BadNote."""
    name, _, data = line.removeprefix(_DASH).partition(" ")
    raw = _decoded(data, "a signature")
    if not line.startswith(_DASH) or not _usable(name) or len(raw) < 5:
        raise BadNote("a signature line is '— NAME BASE64'")
    return Signature(name, raw[:4], raw[4:])


def parse_verifier(text: str) -> VerifierKey:
    """A verifier key `NAME+ID+BASE64`. Raises BadNote."""
    name, _, rest = text.strip().partition("+")
    key_id, _, data = rest.partition("+")
    raw = _decoded(data, "a verifier key")
    if len(raw) != 33 or raw[0] not in (SIGNED, COSIGNED) or not _usable(name):
        raise BadNote(f"'{text}' is no Ed25519 verifier key NAME+ID+BASE64")
    key = VerifierKey(name, raw[0], raw[1:])
    if key.key_id.hex() != key_id:
        raise BadNote(f"the id {key_id} of verifier key '{name}' is not that of its key, {key.key_id.hex()}")
    return key


def parse_signer(text: str) -> SignerKey:
    """A private key as `SignerKey.encoded` writes it. Raises BadNote, which never quotes it."""
    if not text.startswith(_PRIVATE):
        raise BadNote("a private key begins with PRIVATE+KEY+")
    name, _, rest = text.removeprefix(_PRIVATE).partition("+")
    key_id, _, data = rest.partition("+")
    raw = _decoded(data, "a private key")
    if len(raw) != 33 or raw[0] != SIGNED or not _usable(name):
        raise BadNote("a private key is PRIVATE+KEY+NAME+ID+BASE64 with an Ed25519 seed")
    key = SignerKey(name, raw[1:])
    if key.verifier.key_id.hex() != key_id:
        raise BadNote(f"the id {key_id} of private key '{name}' is not that of its key")
    return key


def verified_by(note: Note, keys: Iterable[VerifierKey]) -> list[VerifierKey]:
    """Those of the keys that signed the note, in their order. Raises BadNote where a signature bears the name and id of
    one of them and is not its own."""
    found: list[VerifierKey] = []
    for key in keys:
        for signature in note.signatures:
            if (signature.name, signature.key_id) != (key.name, key.key_id):
                continue
            if not key.verifies(note.text, signature):
                raise BadNote(f"the signature of {key.name} ({key.key_id.hex()}) is false")
            found.append(key)
            break
    return found


def timestamp(cosignature: Signature) -> int:
    """When a witness cosigned, in seconds since 1970. Raises BadNote where it is no cosignature."""
    if len(cosignature.data) != 72:
        raise BadNote("a cosignature has 72 bytes: a timestamp and an Ed25519 signature")
    return int.from_bytes(cosignature.data[:8], "big")


def cosigned_message(text: str, seconds: int) -> bytes:
    """What a witness signs: c2sp.org/tlog-cosignature, Ed25519."""
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


def usable_name(name: str) -> bool:
    """Whether this may be a key's name: not empty, no spaces, no plus."""
    return _usable(name)


def _usable(name: str) -> bool:
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def _decoded(data: str, what: str) -> bytes:
    try:
        return b64decode(data, validate=True)
    except (Error, ValueError) as error:
        raise BadNote(f"{what} is no base64") from error


def _private(seed: bytes) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(seed)
