"""The views of the embedded system verified: beside one that runs, or, where none does, for as long as it takes."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog
import uvloop

from muniment.embedded.folder import CannotStart
from muniment.embedded.reached import chosen, opened, reached
from shared.log.log import LogUnavailable
from shared.log.postgres_scratch import InUse, scratch_store
from shared.log.store import StoreUnavailable
from shared.runtime.checking import Outcome, check_views, record
from shared.runtime.observability import configure_logs
from shared.runtime.service import Definition
from shared.runtime.settings import Settings

logger = structlog.get_logger()

ACTOR = "command line"
"""Who asks for these checks."""


def verify(
    data_dir: Path, names: Sequence[str] = (), told: Callable[[Outcome], None] | None = None, kept: bool = True
) -> list[Outcome]:
    """Check the views of these services, or of all; `told` gets each outcome as it is there, and where they are `kept`
    they go on record. Raises CannotStart, BadSetting."""
    settings = Settings.read(data_dir=data_dir)
    configure_logs(settings)
    of = chosen(names)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_verify(settings, of, told, kept))
    except CannotStart:
        raise
    except (InUse, StoreUnavailable, LogUnavailable) as error:
        raise CannotStart(str(error)) from error
    except Exception as error:  # it must not end as if something differed
        logger.exception("check failed")
        raise CannotStart(f"unexpected {error!r}") from error


async def _verify(
    settings: Settings, of: Sequence[Definition], told: Callable[[Outcome], None] | None, kept: bool
) -> list[Outcome]:
    """One service after another. Raises InUse, StoreUnavailable, LogUnavailable."""
    outcomes: list[Outcome] = []
    async with reached(settings.data_dir, "its views are being verified") as dsn:
        for one in of:
            async with opened(dsn, settings, [one]) as (service,), scratch_store(dsn, one.name, one.tables) as scratch:
                outcomes.append(await check_views(one, service, scratch))
                if kept:
                    await record(service, outcomes[-1], ACTOR)
            if told is not None:
                told(outcomes[-1])
    return outcomes
