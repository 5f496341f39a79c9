"""How a call fails: the service said no, or nobody answered."""

from typing import Any


class ProblemError(Exception):
    """A service refused; `document` is its problem document (RFC 9457)."""

    def __init__(self, status: int, document: dict[str, Any]) -> None:
        self.status, self.document = status, document
        super().__init__(str(document.get("detail") or document.get("title") or f"HTTP {status}"))

    @property
    def code(self) -> str:
        """The stable word at the end of the problem's type; empty where there is none."""
        return str(self.document.get("type", "")).rsplit(":", 1)[-1]


class UnreachableError(Exception):
    """No service answered, and trying again did not help."""
