"""Keys: each route's signing secret and the seal on its address, both out of one key of this installation.

Nothing secret is on the log, and views can be rebuilt: a route's secret follows from the key and the route's id.
Signatures: Standard Webhooks 1.0.0 (symmetric, `v1`).
"""

import hashlib
import hmac
from base64 import b64encode, urlsafe_b64encode
from dataclasses import dataclass, field

from cryptography.fernet import Fernet, InvalidToken

from shared.runtime.installation_key import installation_key
from shared.runtime.settings import Settings

FILE = "alert-signing-key"


class SealedOtherwise(Exception):
    """An address was sealed with another key than this process has."""


@dataclass(frozen=True, slots=True)
class Signing:
    """Everything that needs the installation's key."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, settings: Settings) -> "Signing":
        """From `alert_signing_key`, or from a file in `data_dir`, made where it is missing. Raises ValueError."""
        file = settings.data_dir / FILE
        return cls(installation_key(settings.alert_signing_key, "MUNIMENT_ALERT_SIGNING_KEY", file))

    def secret(self, route: str) -> str:
        """The secret of a route, as its receiver needs it to verify signatures."""
        return "whsec_" + b64encode(self._secret(route)).decode()

    def headers(self, route: str, delivery: str, seconds: int, body: str) -> dict[str, str]:
        """The headers of a delivery at so many seconds since 1970."""
        return {
            "webhook-id": delivery,
            "webhook-timestamp": str(seconds),
            "webhook-signature": signature(self._secret(route), delivery, seconds, body),
        }

    def seal(self, address: str) -> str:
        """An address that this key alone opens again."""
        return self._fernet().encrypt(address.encode()).decode()

    def open(self, sealed: str) -> str:
        """Raises SealedOtherwise."""
        try:
            return self._fernet().decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise SealedOtherwise("the route's address was sealed with another signing key; add it again") from error

    def _secret(self, route: str) -> bytes:
        return hmac.digest(self.key, f"sign:{route}".encode(), hashlib.sha256)

    def _fernet(self) -> Fernet:
        return Fernet(urlsafe_b64encode(hmac.digest(self.key, b"seal", hashlib.sha256)))


def signature(secret: bytes, delivery: str, seconds: int, body: str) -> str:
    """The signature of Standard Webhooks over id, time and body."""
    digest = hmac.digest(secret, f"{delivery}.{seconds}.{body}".encode(), hashlib.sha256)
    return "v1," + b64encode(digest).decode()
