"""Business rules in the experts' own words: decision tables that live predictions are held to. Stream `rule/{name}`."""

# pyright: basic
# pyarrow ships no types

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from services.feedback.domain.conditions import check, meets
from shared.events.envelope import Event, Payload
from shared.events.feedback import Decision, RuleAdopted, RuleRetired
from shared.events.refusal import Refused

MAX_ROWS = 200
NONE = -1


@dataclass(frozen=True, slots=True)
class Adopt:
    """`rule.version` is not looked at: the decision counts."""

    rule: RuleAdopted


@dataclass(frozen=True, slots=True)
class Retire:
    reason: str


@dataclass(frozen=True, slots=True)
class Rule:
    """The newest version, and whether it is in force."""

    adopted: RuleAdopted | None = None
    in_force: bool = False


Command = Adopt | Retire
initial = Rule()


def decide(state: Rule, command: Command) -> Sequence[Payload]:
    """What follows. Raises Refused: 422 `bad-condition`, `bad-rule`; 404 `unknown-rule`; 409 `other-deployment`."""
    if isinstance(command, Retire):
        if state.adopted is None:
            raise Refused("unknown-rule", "There is no such rule.", status=404)
        return [RuleRetired(rule=state.adopted.rule, reason=command.reason)] if state.in_force else []
    rule, before = command.rule, state.adopted
    _check(rule.table)
    if before is not None and before.deployment != rule.deployment:
        detail = f"Rule '{rule.rule}' is about deployment '{before.deployment}'; take another name."
        raise Refused("other-deployment", detail)
    number = before.version if before else 0
    if before is not None and state.in_force and rule.model_copy(update={"version": number}) == before:
        return []
    return [rule.model_copy(update={"version": number + 1})]


def evolve(state: Rule, event: Event) -> Rule:
    """The rule after one more event."""
    match event.data:
        case RuleAdopted() as adopted:
            return Rule(adopted, True)
        case RuleRetired():
            return Rule(state.adopted, False)
        case _:
            return state


def violated(table: pa.RecordBatch, rows: Sequence[Decision]) -> NDArray[np.int64]:
    """Of each prediction the place of the first row of the decision table that applies to it, NONE where none does."""
    found = np.full(table.num_rows, NONE, np.int64)
    for place, row in enumerate(rows):
        found[(found == NONE) & meets(table, row.when)] = place
    return found


def _check(rows: Sequence[Decision]) -> None:
    if not 0 < len(rows) <= MAX_ROWS:
        raise Refused("bad-rule", f"A decision table has 1 to {MAX_ROWS} rows.", status=422)
    for place, row in enumerate(rows, 1):
        if not row.when:
            raise Refused("bad-rule", f"Row {place} has no condition, and would flag every prediction.", status=422)
        check(row.when)
