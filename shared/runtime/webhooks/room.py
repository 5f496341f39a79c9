"""How many addresses outside there may be."""

from shared.log.tables import Query, Where
from shared.runtime.problems import Problem
from shared.runtime.service import Service


async def room(service: Service, table: str, named: str, code: str) -> None:
    """Raises Problem 409 where the service has as many addresses as MUNIMENT_MAX_ALERT_ROUTES says."""
    most = service.settings.max_alert_routes
    rows = await service.store.find(Query(table, (Where("removed", "=", None),), limit=most, columns=("route",)))
    if len(rows) >= most:
        raise Problem(409, code, f"There are {most} {named} already.", "Remove one first.")
