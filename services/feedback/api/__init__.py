"""HTTP: raise flags one by one or a million at once, triage and answer them, and see what they say of a model."""

from fastapi import APIRouter

from services.feedback.api import attachments, bulk, flags, links, summary, triage
from shared.runtime.service import Service


def router(service: Service) -> APIRouter:
    """The endpoints of feedback."""
    routes = APIRouter(tags=["feedback"])
    for room in (bulk, summary, links, attachments, flags, triage):  # fixed paths before /v1/flags/{flag}
        room.add(routes, service)
    return routes
