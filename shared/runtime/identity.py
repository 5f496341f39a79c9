"""Who calls, and with which right: API keys with the roles of the organisation, or `X-Actor` on loopback.

A key is `mun_<id>_<secret>`: 32 random bytes, shown once, kept as SHA-256 and compared in constant time. The key file
holds one JSON object a line: `{"id", "actor", "roles": [...], "sha256"}`, with `"not_aliases": [...]` where a key may
not move some aliases, whatever its roles; the next request sees a change of the file.
"""

import hashlib
import hmac
import os
import secrets
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from ipaddress import ip_address
from pathlib import Path
from typing import cast
from urllib.parse import urlsplit

import orjson
import structlog
from starlette.requests import HTTPConnection

from shared.runtime.problems import Problem
from shared.runtime.scopes import headers_of
from shared.runtime.settings import Settings

logger = structlog.get_logger()

MAX_ACTOR = 200
MAX_KEY = 200
LOCAL_ACTOR = "local"


class Role(StrEnum):
    SME = "sme"
    DATA_SCIENTIST = "data_scientist"
    DATA_ENGINEER = "data_engineer"
    SOFTWARE_ENGINEER = "software_engineer"
    DEVOPS = "devops"
    RISK_MANAGER = "risk_manager"
    AUDITOR = "auditor"
    ARCHITECT = "architect"
    ADMIN = "admin"
    SERVICE = "service"


ALL_ROLES = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody known. `roles` decide what they may do; `admin` may everything. `not_aliases`: aliases of models that
    they may not move all the same."""

    actor: str
    roles: frozenset[Role]
    not_aliases: frozenset[str] = frozenset()

    def may(self, allowed: frozenset[Role]) -> bool:
        return Role.ADMIN in self.roles or bool(self.roles & allowed)


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """One line of the key file; `sha256` in hex, of the whole key as it was shown."""

    id: str
    actor: str
    roles: frozenset[Role]
    sha256: str
    not_aliases: frozenset[str] = frozenset()

    def line(self) -> bytes:
        members = {"id": self.id, "actor": self.actor, "roles": sorted(self.roles), "sha256": self.sha256}
        kept = {"not_aliases": sorted(self.not_aliases)} if self.not_aliases else {}
        return orjson.dumps(members | kept) + b"\n"


def generate_key(actor: str, roles: Iterable[Role], not_aliases: Iterable[str] = ()) -> tuple[str, KeyEntry]:
    """A new key, to be shown once, and what the key file keeps of it. Raises ValueError on an unusable actor."""
    if not usable_actor(actor):
        raise ValueError(f"an actor is 1 to {MAX_ACTOR} printable characters")
    key_id = secrets.token_hex(6)
    key = f"mun_{key_id}_{secrets.token_urlsafe(32)}"
    digest = hashlib.sha256(key.encode()).hexdigest()
    return key, KeyEntry(key_id, actor, frozenset(roles), digest, frozenset(not_aliases))


def add_key(path: Path, actor: str, roles: Iterable[Role], not_aliases: Iterable[str] = ()) -> str:
    """Generate a key, append it to the key file (made readable by its owner alone), and return it."""
    key, entry = generate_key(actor, roles, not_aliases)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "ab") as file:
        file.write(entry.line())
    return key


def usable_actor(actor: str) -> bool:
    """Whether this may stand as the actor of an event."""
    return 0 < len(actor) <= MAX_ACTOR and actor.isprintable() and actor == actor.strip()


class Identity:
    """Authenticates the requests of one process."""

    def __init__(self, settings: Settings) -> None:
        self._path = settings.api_keys
        self._stamp: tuple[int, int] | None = None
        self._keys: dict[str, KeyEntry] = {}

    def authenticate(self, request: HTTPConnection) -> Caller:
        """Who calls. Raises Problem 401 `no-key` or `wrong-key`, 403 `foreign-origin`, 422 on unusable headers."""
        headers = headers_of(request.scope)
        if self._path is None:
            client = request.scope.get("client") or ("",)
            host, actor = headers.get(b"host", b"localhost"), headers.get(b"x-actor", b"")
            return _local(client[0], host, headers.get(b"origin"), actor, headers.get(b"x-roles"))
        key = _key_of(headers)
        if key is None:
            raise _unauthorized("no-key", "This needs an API key and none was sent.")
        entry = self._current(self._path).get(_id_of(key))
        digest = hashlib.sha256(key.encode()).hexdigest()
        if not hmac.compare_digest(digest, entry.sha256 if entry else "0" * 64) or entry is None:
            raise _unauthorized("wrong-key", "The API key is not one of those set up here, or was withdrawn.")
        return Caller(entry.actor, entry.roles, entry.not_aliases)

    def _current(self, path: Path) -> dict[str, KeyEntry]:
        try:
            status = path.stat()
        except OSError:
            self._stamp, self._keys = None, {}
            return self._keys
        stamp = (status.st_mtime_ns, status.st_size)
        if stamp != self._stamp:
            self._keys, self._stamp = _read(path), stamp
        return self._keys


def may_bind(settings: Settings) -> str | None:
    """Why this process must not listen on its host, if so: without keys only loopback is served."""
    if settings.api_keys is not None or is_loopback(settings.host):
        return None
    return (
        f"MUNIMENT_HOST={settings.host} would serve other machines and no API keys are set up: "
        "set MUNIMENT_API_KEYS to a key file, or listen on 127.0.0.1"
    )


def is_loopback(host: str) -> bool:
    """Whether an address or name means this machine only."""
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


def _read(path: Path) -> dict[str, KeyEntry]:
    entries: dict[str, KeyEntry] = {}
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            members = orjson.loads(line)
            roles = frozenset(Role(role) for role in members["roles"])
            kept = _names(members.get("not_aliases", []))
            entry = KeyEntry(str(members["id"]), str(members["actor"]), roles, str(members["sha256"]), kept)
        except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
            logger.error("unusable line in the key file", line=number, error=type(error).__name__)
            continue
        entries[entry.id] = entry
    return entries


def _names(listed: object) -> frozenset[str]:
    """Raises TypeError: a key whose limits cannot be read opens nothing."""
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in cast("list[object]", listed)):
        raise TypeError("not_aliases is a list of names")
    return frozenset(cast("list[str]", listed))


def _key_of(headers: dict[bytes, bytes]) -> str | None:
    scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
    if scheme.lower() == b"basic":  # clients that know names and passwords only, such as MLflow's
        credentials = _password(credentials)
    key = (credentials if scheme.lower() in (b"bearer", b"basic") else headers.get(b"x-api-key", b"")).strip()
    if len(key) > MAX_KEY or not key.isascii():
        raise _unauthorized("wrong-key", "The API key is not one of those set up here, or was withdrawn.")
    return key.decode() or None


def _password(credentials: bytes) -> bytes:
    """The password of HTTP Basic (RFC 7617), whatever the name; nothing where it is torn."""
    try:
        return b64decode(credentials.strip(), validate=True).partition(b":")[2]
    except ValueError:
        return b""


def _id_of(key: str) -> str:
    parts = key.split("_", 2)
    return parts[1] if len(parts) == 3 and parts[0] == "mun" else ""


def _unauthorized(code: str, detail: str) -> Problem:
    fix = "Send it as 'Authorization: Bearer mun_…' or 'X-Api-Key: mun_…'."
    return Problem(401, code, detail, fix, headers={"WWW-Authenticate": 'Bearer realm="muniment"'})


@lru_cache(4_096)
def _local(client: str, host: bytes, origin: bytes | None, actor: bytes, wanted: bytes | None) -> Caller:
    """Who this machine says that it is. Pure, so that a caller who comes again costs nothing."""
    if not is_loopback(client):
        raise _unauthorized("no-key", "No API keys are set up here, so only this machine itself is served.")
    if _foreign(host.decode("latin-1"), origin.decode("latin-1") if origin is not None else None):
        raise Problem(403, "foreign-origin", "Without API keys, pages of other sites are not served.")
    name = _text(actor) or LOCAL_ACTOR
    if not usable_actor(name):
        raise Problem(422, "bad-actor", f"X-Actor must be 1 to {MAX_ACTOR} printable characters.")
    if wanted is None:
        return Caller(name, ALL_ROLES)
    names = [one.strip() for one in _text(wanted).split(",") if one.strip()]
    unknown = [one[:MAX_ACTOR] for one in names if one not in ALL_ROLES]
    if unknown:
        raise Problem(422, "unknown-role", f"X-Roles names unknown roles {unknown}.", roles=sorted(ALL_ROLES))
    return Caller(name, frozenset(Role(one) for one in names))


def _foreign(host: str, origin: str | None) -> bool:
    """A page of another site, open in a browser of this machine, must not act through loopback; neither by a form
    (its Origin differs) nor by a DNS name of its own that points here (such a name has a dot)."""
    try:
        ours = urlsplit("//" + host)
        name = ours.hostname or ""
        elsewhere = origin is not None and urlsplit(origin).netloc != ours.netloc
    except ValueError:  # no host at all, such as an unclosed [
        return True
    return elsewhere or not (is_loopback(name) or "." not in name)


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
