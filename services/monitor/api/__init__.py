"""The monitor at the edge: predictions and outcomes in, figures out."""

from fastapi import APIRouter

from services.monitor.api import (
    alerts,
    archive,
    drift,
    experiments,
    explanation,
    fairness,
    intake,
    kpis,
    lookup,
    profile,
    quality,
    stream,
    subjects,
    windows,
)
from shared.runtime.service import Service


def router(service: Service) -> APIRouter:
    """Every path of the monitor."""
    whole = APIRouter(prefix="/v1", tags=["monitor"])
    for part in (
        alerts,
        archive,
        intake,
        drift,
        experiments,
        explanation,
        fairness,
        kpis,
        lookup,
        profile,
        quality,
        stream,
        subjects,
        windows,
    ):
        part.add(whole, service)
    return whole
