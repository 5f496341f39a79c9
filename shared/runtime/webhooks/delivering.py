"""Deliveries to their receivers: at least once, under the same id, again and again with growing pauses, and in the end
among the dead, from where they can be sent once more.

A worker that is killed between sending and remembering leaves a lease that runs out; then another sends it again.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import httpx
import structlog

from shared.log.store import Store
from shared.log.tables import Put, Query, Row, Where, equal
from shared.runtime.commands import now
from shared.runtime.settings import Settings
from shared.runtime.webhooks.hosts import NotAllowed, Unresolvable, checked
from shared.runtime.webhooks.signing import SealedOtherwise, Signing

logger = structlog.get_logger()

AT_ONCE = 8
PART = 64
MAX_SHOWN = 500
WAITING, DELIVERED, DEAD, SKIPPED = "waiting", "delivered", "dead", "skipped"
_GONE = 410


class _Final(Exception):
    """Another try would end the same."""


@dataclass(frozen=True, slots=True)
class Outbox:
    """The tables of a service's addresses (`route`, `sealed`, `removed`) and of what is to be sent there (`delivery`,
    `route`, `body`, `state`, `attempts`, `next_at`, `ended_at`, `status`, `problem`); and a name for its locks."""

    routes: str
    deliveries: str
    lock: str


@dataclass(slots=True)
class Delivering:
    """Sends what is due, PART at a time; several workers share the work."""

    store: Store
    settings: Settings
    signing: Signing
    outbox: Outbox
    _http: httpx.AsyncClient | None = field(default=None)

    async def run(self) -> None:
        """Send everything that is due now."""
        while True:
            where = (*equal(state=WAITING), Where("next_at", "<=", now()))
            rows = await self.store.find(
                Query(self.outbox.deliveries, where, ("next_at",), PART, columns=("delivery",))
            )
            for place in range(0, len(rows), AT_ONCE):
                part = rows[place : place + AT_ONCE]
                await asyncio.gather(*(self._one(row["delivery"]) for row in part))
            if len(rows) < PART:
                return

    async def close(self) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def _one(self, name: str) -> None:
        row = await self._leased(name)
        if row is None:
            return
        route = await self.store.get(self.outbox.routes, row["route"])
        if route is None:
            await self._again(row, "its address is not known yet: the views are being rebuilt")
            return
        if route["removed"]:
            await self._put(name, state=SKIPPED, ended_at=now(), problem="the route was removed")
            return
        try:
            status = await self._send(row, route)
            await self._put(name, state=DELIVERED, ended_at=now(), status=status, problem=None)
        except _Final as error:
            await self._dead(row, str(error))
        except (httpx.HTTPError, Unresolvable, httpx.InvalidURL) as error:
            await self._again(row, f"{type(error).__name__}: {error}"[:MAX_SHOWN])

    async def _leased(self, name: str) -> Row | None:
        """The delivery, if it is still due; for a while it is nobody else's."""
        async with self.store.begin() as unit:
            await unit.lock([f"{self.outbox.lock}/{name}"])
            row = await unit.get(self.outbox.deliveries, name)
            if row is None or row["state"] != WAITING or row["next_at"] > now():
                return None
            lease = now() + timedelta(seconds=4 * self.settings.alert_timeout_seconds)
            leased = {"delivery": name, "attempts": row["attempts"] + 1, "next_at": lease}
            await unit.apply([Put(self.outbox.deliveries, leased)])
            return row | leased

    async def _send(self, row: Row, route: Row) -> int:
        """The status of the answer. Raises _Final, Unresolvable, httpx.HTTPError."""
        try:
            target = await checked(self.signing.open(route["sealed"]), self.settings)
        except (SealedOtherwise, NotAllowed) as error:
            raise _Final(str(error)) from error
        signed = self.signing.headers(row["route"], row["delivery"], int(now().timestamp()), row["body"])
        headers = {"Host": target.host, "Content-Type": "application/json", "User-Agent": "Muniment"} | signed
        async with (
            asyncio.timeout(2 * self.settings.alert_timeout_seconds),
            self._client().stream(
                "POST",
                target.url,
                content=row["body"].encode(),
                headers=headers,
                extensions={"sni_hostname": target.name},
            ) as answer,
        ):
            if answer.is_success:
                return answer.status_code
            if answer.status_code == _GONE:
                raise _Final("the receiver says that it is gone (410)")
            raise httpx.HTTPError(f"the receiver answered {answer.status_code}")

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            seconds = self.settings.alert_timeout_seconds
            self._http = httpx.AsyncClient(timeout=seconds, follow_redirects=False, trust_env=False)
        return self._http

    async def _again(self, row: Row, problem: str) -> None:
        if row["attempts"] >= self.settings.alert_attempts:
            await self._dead(row, f"{row['attempts']} attempts, the last: {problem}")
            return
        due = now() + pause(row["attempts"], self.settings)
        await self._put(row["delivery"], next_at=due, problem=problem)

    async def _dead(self, row: Row, problem: str) -> None:
        logger.warning("not delivered", delivery=row["delivery"], route=row["route"], problem=problem)
        await self._put(row["delivery"], state=DEAD, ended_at=now(), problem=problem)

    async def _put(self, name: str, **changed: str | int | datetime | None) -> None:
        async with self.store.begin() as unit:
            await unit.apply([Put(self.outbox.deliveries, {"delivery": name, **changed})])


def pause(attempts: int, settings: Settings) -> timedelta:
    """The pause after so many attempts: twice as long each time, up to `alert_retry_most_seconds`."""
    seconds = settings.alert_retry_seconds * 2.0 ** min(attempts - 1, 30)
    return timedelta(seconds=min(seconds, settings.alert_retry_most_seconds))
