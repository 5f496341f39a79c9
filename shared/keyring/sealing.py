"""Personal values of predictions sealed on their way into the log, and opened again for who may read them.

Of each row the subject and the personal features become one text in the column `sealed`; the subject's token takes the
place of `entity`. AES-256-GCM (NIST SP 800-38D) under the subject's own key, with a random nonce of 96 bits, and the
token as additional data, so that nothing sealed for one subject passes for another's. The text is
`v1.` + base64url(nonce + ciphertext + tag); what is sealed is JSON, padded, so that its length tells little.
"""

# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownParameterType=false, reportMissingTypeStubs=false

import base64
import binascii
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
import pyarrow as pa
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.events import batches
from shared.keyring.keyring import MAX_SUBJECT, Destroyed, Keyring, KeyringUnavailable, SubjectKey

ENTITY = "entity"
_VERSION = "v1."
_NONCE_BYTES = 12
_PAD = 64
"""What is sealed is as long as a multiple of so many bytes."""

State = Literal["open", "erased", "withheld", "unreadable"]


class NoSubject(ValueError):
    """A row with personal values does not say whose they are."""

    def __init__(self, row: int, column: str) -> None:
        super().__init__(f"row {row} has no {column}, which names the person whose values it holds")
        self.row, self.column = row, column


@dataclass(frozen=True, slots=True)
class Opened:
    """What was sealed in one row. `state`: open; erased (the key was destroyed `detail` tells when); withheld (the
    caller may not read it); unreadable (no key here, or not what was sealed)."""

    state: State
    token: str
    entity: str | None
    features: dict[str, Any]
    detail: str


def subject_column(subject: str) -> str:
    """The column of a batch that names the subject, for a signature's `subject`."""
    return ENTITY if subject == ENTITY else batches.FEATURE + subject


def subjects_of(batch: pa.RecordBatch, subject: str) -> list[str]:
    """Row by row whose values it holds. Raises NoSubject."""
    column = subject_column(subject)
    values = batch.column(column).to_pylist() if column in batch.schema.names else [None] * batch.num_rows
    named: list[str] = []
    for row, value in enumerate(values):
        text = "" if value is None else str(value)
        if not 0 < len(text) <= MAX_SUBJECT:
            raise NoSubject(row, column)
        named.append(text)
    return named


def sealed(
    batch: pa.RecordBatch, personal: Sequence[str], subjects: Sequence[str], keys: Mapping[str, SubjectKey]
) -> pa.RecordBatch:
    """The batch without personal values: with tokens as `entity`, and what was taken out in `batches.SEALED`."""
    hidden = [batches.FEATURE + name for name in personal if batches.FEATURE + name in batch.schema.names]
    rows = batch.select([*hidden, *([ENTITY] if ENTITY in batch.schema.names else [])]).to_pylist()
    of = [keys[subject] for subject in subjects]
    texts = [seal(key, row) for key, row in zip(of, rows, strict=True)]
    columns = {name: batch.column(name) for name in batch.schema.names if name not in (*hidden, ENTITY)}
    columns[ENTITY] = pa.array([key.token for key in of], pa.string())
    columns[batches.SEALED] = pa.array(texts, pa.string())
    return pa.record_batch(columns)


def seal(key: SubjectKey, values: Mapping[str, Any]) -> str:
    """One row's values as a sealed text."""
    plain = orjson.dumps(values)
    plain += b" " * (-len(plain) % _PAD)
    nonce = secrets.token_bytes(_NONCE_BYTES)
    whole = nonce + AESGCM(key.key).encrypt(nonce, plain, key.token.encode())
    return _spelled(whole)


def unseal(key: SubjectKey, text: str) -> dict[str, Any]:
    """The values of a sealed text. Raises ValueError where it was not sealed with this key, or was changed."""
    if not text.startswith(_VERSION):
        raise ValueError("it was sealed in a way that is not known here")
    try:
        whole = base64.b64decode(text.removeprefix(_VERSION), b"-_", validate=True)
        if _spelled(whole) != text:  # the last letter has bits that decoding leaves out: one spelling alone is right
            raise ValueError("it is spelled otherwise than what was sealed")
        plain = AESGCM(key.key).decrypt(whole[:_NONCE_BYTES], whole[_NONCE_BYTES:], key.token.encode())
    except (InvalidTag, binascii.Error, ValueError) as error:
        raise ValueError("it is not what was sealed with this subject's key") from error
    return orjson.loads(plain)


def _spelled(whole: bytes) -> str:
    return _VERSION + base64.urlsafe_b64encode(whole).decode()


async def opened(keyring: Keyring, values: Mapping[str, Any], may: bool) -> Opened | None:
    """What is sealed in a row of predictions, as far as it can be read and `may` be; None where nothing is."""
    text, token = values.get(batches.SEALED), values.get(ENTITY)
    if text is None or token is None:
        return None
    try:
        found = await keyring.key(token)
    except KeyringUnavailable as error:
        return Opened("unreadable", token, None, {}, f"The keyring cannot be asked: {error}.")
    if isinstance(found, Destroyed):
        return Opened("erased", token, None, {}, f"It was erased: its key was destroyed at {found.at.isoformat()}.")
    if found is None:
        return Opened("unreadable", token, None, {}, "The keyring here holds no key of it, and never destroyed one.")
    if not may:
        return Opened("withheld", token, None, {}, "It is encrypted, and your roles do not read personal values.")
    try:
        plain = unseal(found, text)
    except ValueError as error:
        return Opened("unreadable", token, None, {}, f"It cannot be decrypted: {error}.")
    return Opened("open", token, plain.get(ENTITY), batches.group(plain, batches.FEATURE), "")
