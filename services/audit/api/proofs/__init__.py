"""Proofs over HTTP: inclusion, consistency, bundles for strangers; checkpoints, tiles and keys as all logs do."""

from fastapi import APIRouter

from services.audit.api.proofs import bundles, records, trees
from shared.runtime.service import Service


def add_routes(router: APIRouter, service: Service) -> None:
    """Every endpoint of the tree."""
    trees.add_routes(router, service)
    bundles.add_routes(router, service)
    records.add_routes(router, service)
