"""Signatures as Standard Webhooks has them, sealed addresses, pauses, and addresses that may not be told."""

from base64 import b64decode
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from shared.runtime.settings import Settings
from shared.runtime.webhooks.delivering import pause
from shared.runtime.webhooks.hosts import NotAllowed, Unresolvable, checked
from shared.runtime.webhooks.signing import SealedOtherwise, Signing, signature


def test_the_signature_of_the_specifications_example() -> None:
    secret = b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, '{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_a_routes_secret_signs_what_it_is_sent(tmp_path: Path) -> None:
    signing = Signing.of(Settings(data_dir=tmp_path))
    headers = signing.headers("r", "d", 5, "{}")
    key = b64decode(signing.secret("r").removeprefix("whsec_"))
    assert headers["webhook-signature"] == signature(key, "d", 5, "{}")
    assert signing.secret("r") != signing.secret("s")


def test_the_key_is_made_once_and_of_this_user_alone(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new")
    first, again = Signing.of(settings), Signing.of(settings)
    assert first == again
    assert (tmp_path / "new" / "alert-signing-key").stat().st_mode & 0o077 == 0
    assert first.open(again.seal("https://example.org/x")) == "https://example.org/x"


def test_another_key_opens_nothing_and_a_short_one_is_refused() -> None:
    one, other = (Signing.of(Settings(alert_signing_key=SecretStr(letter * 32))) for letter in "ab")
    with pytest.raises(SealedOtherwise, match="add it again"):
        other.open(one.seal("https://example.org"))
    with pytest.raises(ValueError, match="16"):
        Signing.of(Settings(alert_signing_key=SecretStr("short")))


def test_pauses_double_up_to_the_longest() -> None:
    settings = Settings(alert_retry_seconds=5, alert_retry_most_seconds=60)
    assert [pause(n, settings) for n in (1, 2, 3, 4, 5, 99)] == [timedelta(seconds=s) for s in (5, 10, 20, 40, 60, 60)]


@pytest.mark.parametrize(
    ("url", "changed", "reason"),
    [
        ("http://example.org/x", {}, "https"),
        ("ftp://example.org/x", {}, "http or https"),
        ("https://user@example.org/x", {}, "user name"),
        ("https:///x", {}, "http or https"),
        ("https://example.org:99999/", {}, "no URL"),
        ("https://127.0.0.1/x", {}, "private network"),
        ("https://[::1]/x", {}, "private network"),
        ("https://10.1.2.3/x", {}, "private network"),
        ("https://169.254.169.254/latest", {}, "private network"),
        ("https://[::ffff:127.0.0.1]/x", {}, "private network"),
        ("https://localhost/x", {}, "private network"),
        ("https://example.org/x", {"alert_hosts": ("hooks.slack.com",)}, "none of the hosts"),
    ],
)
async def test_addresses_that_may_not_be_told(url: str, changed: dict[str, Any], reason: str) -> None:
    with pytest.raises(NotAllowed, match=reason):
        await checked(url, Settings(**changed))


async def test_the_address_that_was_checked_is_the_one_connected_to() -> None:
    found = await checked("http://localhost:8123/hook?a=1", Settings(alert_private_networks=True))
    assert found.url in ("http://127.0.0.1:8123/hook?a=1", "http://[::1]:8123/hook?a=1")
    assert (found.host, found.name) == ("localhost:8123", "localhost")
    with pytest.raises(Unresolvable):
        await checked("https://nowhere.invalid/", Settings())
