"""Keys, their file, and who counts as this machine."""

import os
from base64 import b64encode
from pathlib import Path

import pytest
from starlette.requests import Request

from shared.runtime.identity import Identity, Role, add_key, generate_key, is_loopback, may_bind
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings


def request(client: str = "127.0.0.1", **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "GET", "path": "/", "headers": raw, "client": (client, 1)})


def refusal(identity: Identity, of: Request) -> tuple[int, str]:
    with pytest.raises(Problem) as raised:
        identity.authenticate(of)
    return raised.value.status, raised.value.code


def test_a_key_is_shown_once_and_kept_only_as_a_hash(tmp_path: Path):
    path = tmp_path / "keys"
    key = add_key(path, "grace", [Role.SME])
    assert key.startswith("mun_")
    assert key not in path.read_text()
    assert path.stat().st_mode & 0o077 == 0
    caller = Identity(Settings(api_keys=path)).authenticate(request(x_api_key=key))
    assert (caller.actor, caller.roles) == ("grace", {Role.SME})


def test_a_change_of_the_file_is_seen_at_once(tmp_path: Path):
    path = tmp_path / "keys"
    old = add_key(path, "old", [Role.SME])
    identity = Identity(Settings(api_keys=path))
    assert identity.authenticate(request(authorization=f"Bearer {old}")).actor == "old"
    path.unlink()
    new = add_key(path, "new", [Role.ADMIN])
    os.utime(path, ns=(1, 1))
    assert identity.authenticate(request(authorization=f"bearer {new}")).actor == "new"
    assert refusal(identity, request(authorization=f"Bearer {old}")) == (401, "wrong-key")
    path.unlink()
    assert refusal(identity, request(authorization=f"Bearer {new}")) == (401, "wrong-key")


def test_a_key_may_come_as_a_password_and_nothing_else_does(tmp_path: Path):
    path = tmp_path / "keys"
    key = add_key(path, "grace", [Role.SME])
    identity = Identity(Settings(api_keys=path))

    def basic(text: str) -> Request:
        return request(authorization=f"Basic {b64encode(text.encode()).decode()}")

    assert identity.authenticate(basic(f"anybody:{key}")).actor == "grace"
    assert refusal(identity, basic(f"{key}:")) == (401, "no-key")
    assert refusal(identity, basic("grace:secret")) == (401, "wrong-key")
    assert refusal(identity, request(authorization="Basic ~~~")) == (401, "no-key")


def test_an_unusable_line_takes_nobody_elses_right(tmp_path: Path):
    path = tmp_path / "keys"
    path.write_text('{"id": "a"}\nnonsense\n{"id": "b", "actor": "x", "roles": ["king"], "sha256": ""}\n')
    key = add_key(path, "grace", [Role.SME])
    assert Identity(Settings(api_keys=path)).authenticate(request(x_api_key=key)).actor == "grace"


@pytest.mark.parametrize("key", ["", "mun_", "mun_a_b", "nonsense", "mun_" + "a" * 500, "mun_\xe9_x"])
def test_no_other_key_opens(tmp_path: Path, key: str):
    path = tmp_path / "keys"
    add_key(path, "grace", [Role.SME])
    status, code = refusal(Identity(Settings(api_keys=path)), request(x_api_key=key))
    assert (status, code) == (401, "wrong-key" if key else "no-key")


def test_a_right_secret_under_another_id_does_not_open(tmp_path: Path):
    path = tmp_path / "keys"
    first, second = (add_key(path, actor, [Role.SME]) for actor in ("a", "b"))
    mixed = f"mun_{second.split('_')[1]}_{first.split('_', 2)[2]}"
    assert refusal(Identity(Settings(api_keys=path)), request(x_api_key=mixed)) == (401, "wrong-key")


def test_without_keys_this_machine_names_itself():
    identity = Identity(Settings(api_keys=None))
    assert identity.authenticate(request()).actor == "local"
    assert identity.authenticate(request(x_actor="ada")).may(frozenset({Role.RISK_MANAGER}))
    less = identity.authenticate(request(x_actor="ada", x_roles="sme, auditor"))
    assert less.roles == {Role.SME, Role.AUDITOR}
    assert not less.may(frozenset({Role.RISK_MANAGER}))
    assert identity.authenticate(request("::1")).actor == "local"


def test_without_keys_no_other_machine_is_served():
    assert refusal(Identity(Settings(api_keys=None)), request("10.0.0.7", x_actor="ada")) == (401, "no-key")


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "127.0.0.1:8080", "origin": "https://evil.example"},
        {"host": "rebound.example:8080"},
        {"host": "rebound.example:8080", "origin": "http://rebound.example:8080"},
        {"host": "127.0.0.1:8080", "origin": "null"},
    ],
)
def test_a_page_of_another_site_does_not_act_through_the_browser(headers: dict[str, str]):
    assert refusal(Identity(Settings(api_keys=None)), request(**headers)) == (403, "foreign-origin")


def test_an_own_page_does():
    headers = {"host": "localhost:8080", "origin": "http://localhost:8080"}
    assert Identity(Settings(api_keys=None)).authenticate(request(**headers)).actor == "local"


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("127.0.0.1", True),
        ("127.8.8.8", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("localhost", True),
        ("0.0.0.0", False),  # noqa: S104
        ("::", False),
        ("10.0.0.1", False),
        ("localhost.example.com", False),
    ],
)
def test_loopback(host: str, own: bool):
    assert is_loopback(host) is own
    assert (may_bind(Settings(host=host, api_keys=None)) is None) is own
    assert may_bind(Settings(host=host, api_keys=Path("keys"))) is None


def test_an_unusable_actor_gets_no_key():
    with pytest.raises(ValueError, match="printable"):
        generate_key("a\nb", [])
