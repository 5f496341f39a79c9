"""Issues the scheduled reports: as of the end of each period, once, on each model and on all of them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from services.audit.domain import report as issued
from services.audit.horizon import horizon
from services.audit.moment import Moment
from services.audit.reports.gathering import Gathering
from services.audit.reports.press import FORMATS, Press
from shared.runtime.commands import Context, new_id, now
from shared.runtime.service import Service

logger = structlog.get_logger()

ACTOR = "audit"
_EVERYWHERE = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 (compared with, not bound to)
_MONTHS = {"monthly": 1, "quarterly": 3}


@dataclass(slots=True)
class Issuer:
    """Looks whether a period has ended that was not yet reported on. Several processes may do so at once: the stream
    of issued reports takes each period once."""

    service: Service
    press: Press

    async def run(self) -> None:
        """Issue what is due. A model whose report fails does not keep others from theirs."""
        schedule = self.service.settings.report_schedule
        if schedule == "off":
            return
        end = period_end(schedule, now())
        read = await horizon(self.service.log, self.service.store, data=True)
        if read.until < end:  # a period is reported on once, so all that was recorded in it must be there
            logger.info("scheduled reports wait for the ledger", period_end=end.isoformat(), waiting=read.waiting)
            return
        known = Moment(end, read.until)
        gathering = Gathering(self.service.store, known, self.service.settings.report_max_events)
        failed: Exception | None = None
        names = await gathering.models()
        for model in (None, *names) if names else ():
            try:
                await self._issue(model, known)
            except Exception as error:
                logger.exception("scheduled report failed", model=model)
                failed = error
        if failed:
            raise failed

    async def _issue(self, model: str | None, moment: Moment) -> None:
        period = f"{moment.at:%Y-%m-%d}"
        subject = issued.subject(model)
        async with self.service.store.begin() as unit:
            _, state = await self.service.commands.state_in(unit, issued, subject)
        if period in state.periods:
            return
        base = base_url(self.service)
        made = await (self.press.inventory(moment, base) if model is None else self.press.model(model, moment, base))
        if made is None:
            return
        report = new_id()
        asked = issued.Issue(report, model, moment.at, moment.known_at, 0, (), period, "scheduled")
        command = await self.press.keep(asked, made, FORMATS)
        await self.service.commands.handle(issued, subject, command, Context(ACTOR, now(), report))


def period_end(schedule: str, moment: datetime) -> datetime:
    """The end of the last whole period (UTC): midnight, Monday, or the first of a month or quarter."""
    day = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if schedule == "daily":
        return day
    if schedule == "weekly":
        return day - timedelta(days=day.weekday())
    months = _MONTHS[schedule]
    return day.replace(month=(day.month - 1) // months * months + 1, day=1)


def base_url(service: Service) -> str:
    """Where the links of a report lead that no request asked for."""
    settings = service.settings
    host = "localhost" if settings.host in _EVERYWHERE else settings.host
    return (settings.public_url or f"http://{host}:{settings.port}").rstrip("/")
