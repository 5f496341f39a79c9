"""HTTP: raise flags one by one or a million at once, triage and answer them, and see what they say of a model."""

from fastapi import APIRouter

from services.feedback.api import (
    attachments,
    bulk,
    exports,
    flags,
    limits,
    links,
    notices,
    reviews,
    rules,
    summary,
    triage,
)
from shared.runtime.service import Service

_ROOMS = (bulk, summary, links, attachments, limits, exports, reviews, rules, flags, triage, notices)
"""Fixed paths before /v1/flags/{flag}."""


def router(service: Service) -> APIRouter:
    """The endpoints of feedback."""
    routes = APIRouter(tags=["feedback"])
    for room in _ROOMS:
        room.add(routes, service)
    return routes
