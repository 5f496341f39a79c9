"""The views of the embedded system made anew, by several processes: beside one that runs, or where none does.

`python -m muniment.embedded.rebuilding SERVICE DSN SHARE` is one of those processes.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import uvloop

from muniment.embedded.folder import CannotStart
from muniment.embedded.reached import chosen, opened, reached
from shared.log.log import LogUnavailable
from shared.log.store import InUse, StoreUnavailable
from shared.runtime.observability import configure_logs
from shared.runtime.progress import Told
from shared.runtime.rebuilding import Broken, fold, parsed, refill, without_indexes
from shared.runtime.settings import Settings

Tell = Callable[[str, Told], None]


def rebuild(data_dir: Path, names: Sequence[str], processes: int, tell: Tell) -> None:
    """Rebuild the views of these services, or of all, one service after another. Raises CannotStart, BadSetting."""
    settings = Settings.read(data_dir=data_dir)
    configure_logs(settings)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_rebuild(settings, names, processes, tell))
    except (Broken, InUse, StoreUnavailable, LogUnavailable) as error:
        raise CannotStart(str(error)) from error


async def _rebuild(settings: Settings, names: Sequence[str], processes: int, tell: Tell) -> None:
    of = chosen(names)
    async with reached(settings.data_dir, "its views are being rebuilt") as dsn:
        for one in of:

            def told(progress: Told, name: str = one.name) -> None:
                tell(name, progress)

            async with opened(dsn, settings, [one]) as (service,):
                command = (sys.executable, "-m", "muniment.embedded.rebuilding", one.name, dsn)
                await refill(one, service, processes, command, told)


async def _fold(name: str, dsn: str, share: str) -> int:
    (definition,) = chosen([name])
    bare = without_indexes(definition)
    async with opened(dsn, Settings(), [bare]) as (service,):
        return 0 if await fold(bare, service, parsed(share)) else 1


if __name__ == "__main__":
    configure_logs(Settings())
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        sys.exit(runner.run(_fold(*sys.argv[1:])))
