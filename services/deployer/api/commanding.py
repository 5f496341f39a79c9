"""Commands of deployments: who may give them, and how they are run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from fastapi.responses import JSONResponse

from services.deployer import domain
from services.deployer.api.serving import Serving
from services.deployer.domain import Command, State, subject_of
from shared.events.deployer import Deployed, Promoted, Retired, RolledBack, TrafficChanged
from shared.events.envelope import Event
from shared.log import tables
from shared.log.store import Store
from shared.runtime.http import Call
from shared.runtime.identity import Role
from shared.runtime.problems import not_found
from shared.runtime.service import Service

DEPLOYERS = (Role.DATA_SCIENTIST, Role.DATA_ENGINEER, Role.SOFTWARE_ENGINEER, Role.DEVOPS)
STOPPERS = (*DEPLOYERS, Role.RISK_MANAGER)
"""Who may bring back or take away what answers: those who put it there, and who answers for its risk."""

MAX_NEARBY = 1_000
"""Names that are looked through for one that is like an unknown one."""


@dataclass(frozen=True, slots=True)
class Commanding:
    """Runs the commands of deployments, and lets this process serve by them at once."""

    service: Service
    serving: Serving

    async def current(self, name: str) -> State:
        """The deployment as its stream has it, since no decision may rest on a view that lags. Raises Problem 404."""
        store = self.service.store
        async with store.begin() as unit:
            _, state = await self.service.commands.state_in(unit, domain, subject_of(name))
        if not state.exists:
            await unknown(store, name)
        return state

    async def command(self, call: Call, name: str, wanted: Command, body: Any, status: int = 200) -> JSONResponse:
        """Decide, state, serve by it."""
        answer = await call.write(
            domain, subject_of(name), wanted, context=call.context(body.at), status=status, answer=_answer
        )
        await self.serving.routes.adopt(name)
        return answer


async def unknown(store: Store, name: str) -> NoReturn:
    """Raise Problem 404 with the names nearby."""
    rows = await store.find(tables.Query("deployments", limit=MAX_NEARBY, columns=("name",)))
    not_found("deployment", name, [row["name"] for row in rows])


def _answer(events: Sequence[Event]) -> dict[str, Any]:
    """What a write adds to its answer: the traffic as it is now."""
    told: dict[str, Any] = {"state": "active"}
    for event in events:
        match event.data:
            case Deployed() as fact:
                told |= {"name": fact.deployment, "traffic": fact.traffic.model_dump(mode="json")}
            case TrafficChanged() | Promoted() | RolledBack() as fact:
                told |= {"name": fact.deployment, "traffic": fact.after.model_dump(mode="json")}
            case Retired():
                told["state"] = "retired"
            case _:
                pass
    return told
