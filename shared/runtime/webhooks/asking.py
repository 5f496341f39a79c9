"""What the endpoints of an outbox share: which host an address is at, and sending a delivery once more."""

from fastapi.responses import JSONResponse

from shared.log.store import UnitOfWork
from shared.log.tables import Put
from shared.runtime.commands import now
from shared.runtime.http import Answered, Call
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings
from shared.runtime.webhooks.delivering import WAITING, Outbox
from shared.runtime.webhooks.hosts import NotAllowed, Unresolvable, checked


async def host_of(settings: Settings, url: str, what: str) -> str:
    """The host of an address that may be told of `what`. Raises Problem 422 `address-not-allowed`."""
    try:
        return (await checked(url, settings)).host
    except (NotAllowed, Unresolvable) as error:
        raise Problem(422, "address-not-allowed", f"{what} cannot go there: {error}.") from error


async def replayed(call: Call, outbox: Outbox, delivery: str) -> JSONResponse:
    """Let a dead or delivered one wait again, under the same id. Raises Problem 404 `unknown-delivery`."""

    async def work(unit: UnitOfWork) -> Answered:
        await unit.lock([f"{outbox.lock}/{delivery}"])
        if await unit.get(outbox.deliveries, delivery) is None:
            raise Problem(404, "unknown-delivery", f"There is no delivery '{delivery:.100}'.", "See the list.")
        again = {"delivery": delivery, "state": WAITING, "attempts": 0, "next_at": now(), "ended_at": None}
        await unit.apply([Put(outbox.deliveries, again)])
        return 202, {"delivery": delivery, "state": WAITING}

    return await call.in_unit(work)
