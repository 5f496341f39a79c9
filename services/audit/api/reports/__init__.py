"""Reports over HTTP: as of any moment in three formats, and issued ones, whose bytes are on record."""

from fastapi import APIRouter

from services.audit.api.reports.answers import base_url
from services.audit.api.reports.issued import add_issued
from services.audit.api.reports.issuing import add_issuing
from services.audit.api.reports.live import add_live
from services.audit.reports.press import Press
from shared.runtime.service import Service

__all__ = ["add_routes", "base_url"]


def add_routes(router: APIRouter, service: Service) -> None:
    """Live reports, issuing, and issued ones."""
    press = Press(service)
    add_live(router, service, press)
    add_issuing(router, service, press)
    add_issued(router, service)
