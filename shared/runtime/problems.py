"""Errors at the edge: RFC 9457 problem documents, each telling what was wrong, where, and what to do."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, NoReturn

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:muniment:problem:"


class Problem(Exception):
    """Raise anywhere below an endpoint; the app answers with the problem document.

    `code`: a stable word, the end of `type`. `detail`: what was wrong and where. `fix`: what to do. `extra`: members of
    the document's own, such as the rules of a gate or `errors` with a JSON pointer each.
    """

    def __init__(
        self, status: int, code: str, detail: str, fix: str = "", headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.fix = status, code, detail, fix
        self.headers, self.extra = headers or {}, extra

    def document(self, instance: str) -> dict[str, Any]:
        """The problem as RFC 9457 members; `instance` is the request's path."""
        members: dict[str, Any] = {
            "type": TYPE_PREFIX + self.code,
            "title": self.code.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            "instance": instance,
        }
        if self.fix:
            members["fix"] = self.fix
        return members | self.extra


def not_found(kind: str, name: str, existing: Iterable[str], fix: str | None = None) -> NoReturn:
    """Raise 404 that tells which names exist nearby. `fix`: what to do where none are known."""
    names = list(existing)
    nearby = get_close_matches(name, names, n=5, cutoff=0.4) or sorted(names)[:5]
    none = fix or f"No {kind} exists yet; create one, or wait for one just created by ?after=EVENT."
    hint = f"Did you mean {', '.join(nearby)}?" if nearby else none
    if name in names:
        hint = "It appeared this moment; ask again, or wait for what was just created by ?after=EVENT."
    raise Problem(404, f"unknown-{kind}", f"There is no {kind} '{name}'.", hint, nearby=nearby)
