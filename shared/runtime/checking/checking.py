"""All views of one service: replayed, compared, and what moved meanwhile looked at again."""

import asyncio
from dataclasses import dataclass, field
from time import monotonic

import structlog

from shared.log.log import LogUnavailable, OffsetOutOfRange
from shared.log.store import Fenced, Store, StoreUnavailable
from shared.runtime.checking.outcome import Difference, Outcome, TableOutcome
from shared.runtime.checking.replaying import CannotTell, Order, Replaying, facts_first
from shared.runtime.checking.rows import MODULUS, digest, first_column, shown
from shared.runtime.checking.scratch import beside
from shared.runtime.checking.walking import Compared, Key, View, pairs
from shared.runtime.service import Definition, Service

logger = structlog.get_logger()


@dataclass(slots=True)
class _Suspect:
    """A row that differed when it was last looked at. `moving`: its live side was changing at that."""

    view: View
    key: Key
    live: Compared | None
    replayed: Compared | None
    moving: bool = True


@dataclass(slots=True)
class _Checking:
    """One check. Suspects stay in the order of tables and keys, so that the first is the first difference."""

    definition: Definition
    live: Store
    scratch: Store
    replaying: Replaying
    outcome: Outcome
    most: int
    suspects: list[_Suspect] = field(default_factory=list[_Suspect])
    sums: list[int] = field(default_factory=lambda: [0, 0])

    async def look(self) -> None:
        """Compare every view once."""
        for table in self.definition.tables:
            if not table.work:
                await self._table(View(table, self.definition.merging.get(table.name)))

    async def _table(self, view: View) -> None:
        counts = TableOutcome(view.table.name)
        self.outcome.tables.append(counts)
        remembered = 0
        async for live, replayed in pairs(view, self.live, self.scratch):
            counts.live_rows += live is not None
            counts.replayed_rows += replayed is not None
            self._add(view, live, replayed)
            if _equal(live, replayed):
                continue
            if remembered == self.most:
                counts.not_looked_at_again += 1
                continue
            remembered += 1
            one = live or replayed
            assert one is not None  # noqa: S101  pairs names a key of either
            self.suspects.append(_Suspect(view, one.key, live, replayed))

    async def look_again(self, rounds: int, pause: float) -> None:
        """Let the replay follow, and compare what differed, until that is settled or `rounds` are over.

        A live row that is the same before and after the replay reached the live offsets was so at these offsets.
        """
        reached = await self.replaying.reached()
        for _ in range(rounds):
            if not self.suspects:
                return
            self.outcome.looks += 1
            before = [await one.view.one(self.live, one.key) for one in self.suspects]
            await asyncio.sleep(pause)
            standing, reached = reached, await self.replaying.reached()
            await self.replaying.to(reached)
            for suspect, live in zip(self.suspects, before, strict=True):
                await self._again(suspect, live)
            self.suspects = [one for one in self.suspects if not _equal(one.live, one.replayed)]
            if standing == reached and not any(one.moving for one in self.suspects):
                return

    async def _again(self, suspect: _Suspect, before: Compared | None) -> None:
        live = await suspect.view.one(self.live, suspect.key)
        replayed = await suspect.view.one(self.scratch, suspect.key)
        self._add(suspect.view, suspect.live, suspect.replayed, -1)
        self._add(suspect.view, live, replayed)
        suspect.live, suspect.replayed, suspect.moving = live, replayed, not _equal(before, live)

    def tell(self) -> None:
        """Put what is left into the outcome."""
        outcome = self.outcome
        outcome.live_digest, outcome.replayed_digest = (f"{one % MODULUS:064x}" for one in self.sums)
        counts = {table.name: table for table in outcome.tables}
        for suspect in self.suspects:
            if suspect.moving:
                counts[suspect.view.table.name].unsettled += 1
            else:
                counts[suspect.view.table.name].differing += 1
        certain = next((one for one in self.suspects if not one.moving), None)
        more = sum(table.not_looked_at_again for table in outcome.tables)
        if certain is not None:
            outcome.verdict, outcome.first_difference = "different", _difference(certain)
        elif self.suspects or more:
            left = len(self.suspects) + more
            outcome.reason = f"unsettled: {left} rows went on changing through {outcome.looks} looks; check again"
        else:
            outcome.verdict = "equal"

    def _add(self, view: View, live: Compared | None, replayed: Compared | None, times: int = 1) -> None:
        for side, one in enumerate((live, replayed)):
            self.sums[side] += times * digest(view.table.name, one.cells) if one is not None else 0


async def check_views(definition: Definition, live: Service, scratch: Store, order: Order = facts_first) -> Outcome:
    """Replay the log from its start into `scratch`, an empty store of the same tables, with the consumers of the
    service, and compare every view with the live one, both ways. Nothing is written but to `scratch`.

    It goes up to the offsets that the live consumers kept when it began; rows that differ because they went on are
    looked at again at later offsets, `check_rounds` times at most. `order`: in which the replay takes partitions.
    """
    began = monotonic()
    outcome = Outcome(definition.name)
    replaying = Replaying(definition, beside(live, scratch), live.store, order)
    settings = live.settings
    checking = _Checking(definition, live.store, scratch, replaying, outcome, settings.check_max_suspects)
    try:
        await replaying.to(await replaying.reached())
        await checking.look()
        await checking.look_again(settings.check_rounds, settings.check_pause_seconds)
        checking.tell()
        refused = await replaying.refused()
        if refused is not None:
            outcome.reason = refused
            outcome.verdict = "could not tell" if outcome.verdict == "equal" else outcome.verdict
    except (CannotTell, OffsetOutOfRange, LogUnavailable, StoreUnavailable, Fenced) as error:
        outcome.verdict, outcome.reason = "could not tell", str(error)
    except Exception as error:  # an error of ours says nothing about the views
        logger.exception("check failed", service=definition.name)
        outcome.verdict, outcome.reason = "could not tell", f"unexpected {error!r}"
    outcome.records, outcome.dead_letters = replaying.records, len(replaying.letters)
    outcome.seconds = round(monotonic() - began, 3)
    return outcome


def _equal(one: Compared | None, other: Compared | None) -> bool:
    return one is other if one is None or other is None else one.cells == other.cells


def _difference(suspect: _Suspect) -> Difference:
    table, key = suspect.view.table.name, suspect.view.named(suspect.key)
    live, replayed = suspect.live, suspect.replayed
    if live is None or replayed is None:
        return Difference(table, key, "deleted" if live is None else "inserted")
    column = first_column(live.cells, replayed.cells)
    if column is None:
        return Difference(table, key, "changed")
    kind, values = suspect.view.kind(column), (live.row[column], replayed.row[column])
    return Difference(table, key, "changed", column, shown(kind, *values), shown(kind, *reversed(values)))
