"""What a check of the views found."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import orjson

from shared.log.tables import Row

Verdict = Literal["equal", "different", "could not tell"]
CODES: dict[Verdict, int] = {"equal": 0, "different": 1, "could not tell": 2}


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not what the log gives. `what`: `changed`, in `column`, with both values; `inserted`, the log
    gives no such row; `deleted`, the live view lacks it."""

    table: str
    key: Row
    what: Literal["changed", "inserted", "deleted"]
    column: str | None = None
    live: Any = None
    replayed: Any = None

    def __str__(self) -> str:
        named = ", ".join(f"{name} {value}" for name, value in self.key.items())
        where = f"{self.table} ({named})"
        if self.what == "changed":
            return f"{where}: {self.column} is {self.live!r}, and {self.replayed!r} by the log"
        return f"{where}: " + ("the log gives no such row" if self.what == "inserted" else "missing, the log gives it")


@dataclass(slots=True)
class TableOutcome:
    """Counts of one view. `differing`: rows that differ for certain; `unsettled`: rows that went on changing;
    `not_looked_at_again`: differences beyond what is remembered."""

    name: str
    live_rows: int = 0
    replayed_rows: int = 0
    differing: int = 0
    unsettled: int = 0
    not_looked_at_again: int = 0


@dataclass(slots=True)
class Outcome:
    """`live_digest`, `replayed_digest`: the sum, modulo 2^256, of the SHA-256 of every row, in hex: the same for the
    same rows, whatever their order. `records`: how many the replay read. `dead_letters`: records left out, since they
    wait among the dead letters of the live system."""

    service: str
    verdict: Verdict = "could not tell"
    reason: str | None = None
    first_difference: Difference | None = None
    tables: list[TableOutcome] = field(default_factory=list[TableOutcome])
    live_digest: str = ""
    replayed_digest: str = ""
    records: int = 0
    dead_letters: int = 0
    looks: int = 0
    seconds: float = 0.0

    @property
    def code(self) -> int:
        """The exit code: 0 equal, 1 different, 2 could not tell."""
        return CODES[self.verdict]

    def __str__(self) -> str:
        rows, records = sum(table.live_rows for table in self.tables), self.records
        counted = f"{rows} live rows, {records} records replayed in {self.seconds:.1f} s"
        told = [f"{self.service}: {self.verdict} ({counted})"]
        told += [f"  {self.reason}"] if self.reason else []
        told += [f"  first difference: {self.first_difference}"] if self.first_difference else []
        told += [f"  digest of the live rows {self.live_digest}, of the replayed {self.replayed_digest}"]
        return "\n".join(told)


def as_json(outcomes: Sequence[Outcome]) -> str:
    """`{"verdict", "services": [an Outcome each]}` as JSON. `verdict`: the gravest."""
    told = {"verdict": gravest(outcomes), "services": [asdict(one) for one in outcomes]}
    return orjson.dumps(told, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_INDENT_2).decode()


def gravest(outcomes: Sequence[Outcome]) -> Verdict:
    """`different` where any is; else `could not tell` where any could not, or where there is none."""
    verdicts = {one.verdict for one in outcomes}
    if "different" in verdicts:
        return "different"
    return "equal" if verdicts == {"equal"} else "could not tell"
