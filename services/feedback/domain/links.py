"""Signed links: one flag, raised with one click, without an account. Pure.

A link's token is what it says and an HMAC (RFC 2104, SHA-256) over it and its purpose. It names the flag that it
raises, and a flag can be raised once: so a link can be used once.
"""

import hmac
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

PURPOSE = b"muniment flag link 1\n"
MAX_TOKEN = 16_000


class NotGenuine(Exception):
    """The token was not made here, or somebody changed it."""


class Expired(Exception):
    """The link's time is over."""


@dataclass(frozen=True, slots=True)
class Link:
    """`flag`: the id of the flag that it raises; `body`: what the flag says; `actor`: in whose name."""

    flag: str
    issuer: str
    actor: str
    expires: datetime
    body: dict[str, Any]


def token(key: bytes, link: Link) -> str:
    """The link's token, fit for a URL."""
    said = {
        "flag": link.flag,
        "issuer": link.issuer,
        "actor": link.actor,
        "expires": int(link.expires.timestamp()),
        "body": link.body,
    }
    text = json.dumps(said, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()
    return f"{_encoded(text)}.{_encoded(_signature(key, text))}"


def opened(key: bytes, given: str, now: datetime) -> Link:
    """What a token says. Raises NotGenuine, Expired."""
    text, dot, signature = given.partition(".")
    if not dot or len(given) > MAX_TOKEN:
        raise NotGenuine
    try:
        plain, signed = _decoded(text), _decoded(signature)
    except (Error, ValueError) as error:
        raise NotGenuine from error
    if not hmac.compare_digest(signed, _signature(key, plain)):
        raise NotGenuine
    said = json.loads(plain)
    expires = datetime.fromtimestamp(said["expires"], UTC)
    if now >= expires:
        raise Expired(expires.isoformat())
    return Link(said["flag"], said["issuer"], said["actor"], expires, said["body"])


def _signature(key: bytes, text: bytes) -> bytes:
    return hmac.digest(key, PURPOSE + text, sha256)


def _encoded(data: bytes) -> str:
    return urlsafe_b64encode(data).decode().rstrip("=")


def _decoded(text: str) -> bytes:
    data = urlsafe_b64decode(text + "=" * (-len(text) % 4))
    if _encoded(data) != text:  # one token has one spelling
        raise ValueError(text)
    return data
