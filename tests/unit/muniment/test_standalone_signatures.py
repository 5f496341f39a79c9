"""The stand-alone verifier checks signatures without any package as `cryptography` does."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from muniment.verify_standalone import L, genuine, verifies

VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe246"
        "55141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb"
        "00d291612bb0c00",
    ),
]
"""RFC 8032 §7.1, tests 1 and 2: key, message, signature."""


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_vectors_of_the_rfc(key: str, message: str, signature: str) -> None:
    assert verifies(bytes.fromhex(key), bytes.fromhex(signature), bytes.fromhex(message))


def test_what_is_altered_is_refused_as_by_cryptography() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    key, message = private.public_key().public_bytes_raw(), b"a checkpoint"
    signature = private.sign(message)
    assert verifies(key, signature, message)
    scalar = int.from_bytes(signature[32:], "little")
    other = Ed25519PrivateKey.from_private_bytes(bytes(32)).public_key().public_bytes_raw()
    for false in [
        (key, signature, message + b"."),
        (other, signature, message),
        (key, bytes([signature[0] ^ 1]) + signature[1:], message),
        (key, signature[:40] + bytes([signature[40] ^ 1]) + signature[41:], message),
        (key, signature[:32] + (scalar + L).to_bytes(32, "little"), message),
        (key, signature[:32] + bytes(32), message),
        (key, bytes([255]) * 32 + signature[32:], message),
    ]:
        assert (verifies(*false), genuine(*false)) == (False, False)
    assert not verifies(key, signature[:63], message)
