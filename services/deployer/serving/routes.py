"""The routes of this process: for every deployment, who answers and how, at hand without a query."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from time import monotonic

import structlog

from services.deployer import domain
from services.deployer.domain import State, subject_of
from services.deployer.serving.plans import Plan, plan_of
from shared.events.registry import Artifact, Signature
from shared.log.store import UnitOfWork
from shared.log.tables import Query
from shared.runtime.predictions import Target
from shared.runtime.problems import not_found
from shared.runtime.service import Service

logger = structlog.get_logger()

PAGE = 1_000
MAX_REFRESH_WAIT_SECONDS = 0.05
"""A request does not wait longer than so for a store that is slow; it goes on with the routes known."""

MAX_WARM_SECONDS = 5.0
MAX_BACK_SECONDS = 0.5
"""A change of traffic does not wait longer than so for the models that it brings; requests wait for them then. One of
the champion may be the way back from harm, which must not go on meanwhile."""


@dataclass(frozen=True, slots=True)
class Served:
    """A version that may be asked."""

    target: Target
    artifact: Artifact
    signature: Signature

    @property
    def key(self) -> tuple[str, int]:
        return self.target.model, self.target.version


@dataclass(frozen=True, slots=True)
class Route:
    """A deployment ready to be asked. `served`: every version listed in its traffic, by number."""

    name: str
    sequence: int
    state: State
    served: dict[int, Served]
    inputs: tuple[str, ...]
    sharing: tuple[int, ...]
    """The versions that the traffic is shared among: the champion, then challengers with a share."""

    plan: Plan | None


@dataclass(slots=True)
class RouteTable:
    """Own writes are taken over at once (`adopt`); those of other processes by asking the store how far the views are,
    at most every `routes_seconds`, and loading what changed.

    Why not a query per request: a lookup in PostgreSQL costs more than the inference of a small model. Why asked for by
    the requests rather than by a task beside them: an idle process asks nothing, staleness keeps its bound under load,
    and there is no task that could die unseen. Traffic comes from the deployment's stream, the truth itself; the views
    only tell which streams moved. A store that is away, or views that are being rebuilt, leave the known routes in use.
    """

    service: Service
    warm: "Callable[[Route, int], Awaitable[None]]"
    """Loads a version, so that a change of traffic finds it loaded."""

    _routes: dict[str, Route] = field(default_factory=dict[str, Route])
    _versions: dict[tuple[str, int], Served] = field(default_factory=dict[tuple[str, int], Served])
    _seen: object = None
    _checked: float = 0.0
    _refreshing: asyncio.Task[None] | None = None

    async def get(self, name: str) -> Route:
        """The route of a deployment. Raises Problem 404 with names nearby, StoreUnavailable before the first load."""
        age, most = monotonic() - self._checked, self.service.settings.routes_seconds
        if age > most:
            await self._fresh()
        elif age > most / 2:
            self._begin()  # so that under load hardly any request waits for it
        route = self._routes.get(name)
        if route is None:
            not_found("deployment", name, self._routes)
        return route

    async def adopt(self, name: str) -> None:
        """Take over what this process itself just wrote."""
        await self._load([name])

    async def refresh(self) -> None:
        """Look for changes now. Raises StoreUnavailable."""
        offsets = await self.service.store.offsets()
        if offsets != self._seen:
            found = await self._listed()
            changed = [name for name, sequence in found.items() if self._sequence(name) < sequence]
            if await self._load(changed):
                self._seen = offsets
        self._checked = monotonic()

    def _begin(self) -> asyncio.Task[None]:
        """The refresh that is under way, or a new one."""
        if self._refreshing is None or self._refreshing.done():
            self._refreshing = asyncio.create_task(self.refresh())
            self._refreshing.add_done_callback(_report)
        return self._refreshing

    async def _fresh(self) -> None:
        refreshing = self._begin()
        if self._seen is None:
            await asyncio.shield(refreshing)
            return
        # by the time the wait is over another request may have begun the next refresh: only this one is asked about
        done, _ = await asyncio.wait([refreshing], timeout=MAX_REFRESH_WAIT_SECONDS)
        if not done or refreshing.exception() is not None:
            self._checked = monotonic()  # so that not every request waits for a store that is slow or away

    async def _listed(self) -> dict[str, int]:
        found: dict[str, int] = {}
        after: tuple[str, ...] | None = None
        while True:
            query = Query("deployments", limit=PAGE, after=after, columns=("name", "sequence"))
            rows = await self.service.store.find(query)
            found |= {row["name"]: row["sequence"] for row in rows}
            if len(rows) < PAGE:
                return found
            after = (rows[-1]["name"],)

    async def _load(self, names: Iterable[str]) -> bool:
        """Load these deployments; False where a version's facts are not in the views yet."""
        complete = True
        for name in names:
            async with self.service.store.begin() as unit:
                sequence, state = await self.service.commands.state_in(unit, domain, subject_of(name))
                listed = [state.traffic.champion, *(one.version for one in state.traffic.challengers)]
                listed += state.traffic.shadows
                found = [await self._served(unit, state, version) for version in listed]
            served = {one.target.version: one for one in found if one is not None}
            complete = complete and len(served) == len(listed)
            if not state.exists:
                continue
            route = _route(name, sequence if len(served) == len(listed) else 0, state, served)
            await self._warmed(route)
            if sequence >= self._sequence(name):
                self._routes[name] = route
        return complete

    async def _warmed(self, route: Route) -> None:
        """Wait until the versions that begin to answer are loaded; requests go on with the known route meanwhile."""
        known = self._routes.get(route.name)
        if known is None or route.state.retired:
            return
        new = [version for version in route.sharing if version not in known.sharing and version in route.served]
        if new:
            same = route.sharing[0] == known.sharing[0]
            tasks = [asyncio.ensure_future(self.warm(route, version)) for version in new]
            await asyncio.wait(tasks, timeout=MAX_WARM_SECONDS if same else MAX_BACK_SECONDS)

    async def _served(self, unit: UnitOfWork, state: State, version: int) -> Served | None:
        """Facts of a version never change, so each is read once per deployment."""
        key = (state.deployment, version)
        if key not in self._versions:
            row = await unit.get("model_versions", state.model, version)
            if row is None:
                return None
            signature = Signature.model_validate(row["signature"])
            target = Target(state.deployment, state.model, version, signature.personal, signature.about)
            self._versions[key] = Served(target, Artifact.model_validate(row["artifact"]), signature)
        return self._versions[key]

    def _sequence(self, name: str) -> int:
        route = self._routes.get(name)
        return route.sequence if route else -1


def _report(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        logger.warning("routes not refreshed, the known ones stay in use", error=repr(error))


def _route(name: str, sequence: int, state: State, served: dict[int, Served]) -> Route:
    inputs = {one.name: None for version in served.values() for one in version.signature.inputs}
    challengers = [one.version for one in state.traffic.challengers if one.percent > 0]
    sharing = (state.traffic.champion, *challengers)
    plan = plan_of(state, sharing, {version: (one.target, one.signature) for version, one in served.items()})
    return Route(name, sequence, state, served, tuple(inputs), sharing, plan)
