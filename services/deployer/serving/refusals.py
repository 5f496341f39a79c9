"""How serving says no."""

from typing import Any

from shared.models import Unservable
from shared.runtime.problems import Problem

__all__ = ["Unservable", "bad_request"]


def bad_request(code: str, detail: str, fix: str = "", **extra: Any) -> Problem:
    """The request is at fault: 400, as the protocol has it."""
    return Problem(400, code, detail, fix, **extra)
