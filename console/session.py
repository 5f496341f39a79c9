"""Who is signed in: kept by the browser alone, in a cookie that no script and no other site can read or send."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from typing import Self

import orjson
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "muniment_console"
PATH = "/console"
MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Session:
    """`actor`: a name, where no API keys are set up; else `key`, an API key."""

    actor: str = ""
    key: str = ""

    @property
    def shown(self) -> str:
        """As whom one is signed in; of a key its public part."""
        return self.actor or f"key {self.key.split('_')[1] if self.key.count('_') > 1 else ''}".strip()

    def headers(self) -> dict[str, str]:
        """As the services want it."""
        if self.key:
            return {"Authorization": f"Bearer {self.key}"}
        return {"X-Actor": self.actor.encode().decode("latin-1")} if self.actor else {}

    @classmethod
    def of(cls, request: Request) -> Self | None:
        """The one that the browser kept; None where there is none, or no usable one."""
        try:
            said = orjson.loads(urlsafe_b64decode(request.cookies.get(COOKIE, "")))
            return cls.given(str(said["as"]))
        except (ValueError, KeyError, TypeError):
            return None

    @classmethod
    def given(cls, text: str) -> Self:
        """A name or a key, as somebody typed it. Raises ValueError where it can be neither."""
        text = text.strip()
        if not 0 < len(text) <= MAX_TEXT or not text.isprintable():
            raise ValueError(f"Give 1 to {MAX_TEXT} printable characters.")
        if text.startswith("mun_"):
            if not text.isascii():
                raise ValueError("This is no API key.")
            return cls(key=text)
        return cls(actor=text)

    def keep(self, response: Response, request: Request) -> None:
        """Until the browser closes."""
        value = urlsafe_b64encode(orjson.dumps({"as": self.key or self.actor})).decode()
        secure = request.url.scheme == "https" or request.headers.get("x-forwarded-proto") == "https"
        response.set_cookie(COOKIE, value, path=PATH, httponly=True, samesite="strict", secure=secure)


def forget(response: Response) -> None:
    """Sign out."""
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
