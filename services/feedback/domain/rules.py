"""Business rules in the experts' own words: decision tables that live predictions are held to. Stream
`rules/{deployment}`: one for all rules of a deployment, so that what held when is read from one place."""

# pyright: basic
# pyarrow ships no types

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

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
    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Term:
    """A version of a rule, and from when until when (None: still) it is in force, by the log's own clock."""

    adopted: RuleAdopted
    since: datetime
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment and (self.until is None or moment < self.until)


Command = Adopt | Retire
Rules = Mapping[str, tuple[Term, ...]]
"""Rule → its versions, the newest last."""

initial: Rules = {}


def decide(state: Rules, command: Command) -> Sequence[Payload]:
    """What follows. Raises Refused: 422 `bad-condition`, `bad-rule`; 404 `unknown-rule`."""
    if isinstance(command, Retire):
        if command.rule not in state:
            raise Refused("unknown-rule", f"There is no rule '{command.rule}'.", status=404)
        in_force = state[command.rule][-1].until is None
        return [RuleRetired(rule=command.rule, reason=command.reason)] if in_force else []
    rule = command.rule
    _check(rule.table)
    terms = state.get(rule.rule)
    number = terms[-1].adopted.version if terms else 0
    if terms and terms[-1].until is None and rule.model_copy(update={"version": number}) == terms[-1].adopted:
        return []
    return [rule.model_copy(update={"version": number + 1})]


def evolve(state: Rules, event: Event) -> Rules:
    """The rules after one more event."""
    match event.data:
        case RuleAdopted(rule=rule) as adopted:
            return {**state, rule: (*_ended(state.get(rule, ()), event), Term(adopted, event.recorded or event.time))}
        case RuleRetired(rule=rule):
            return {**state, rule: _ended(state.get(rule, ()), event)}
        case _:
            return state


def in_force(state: Rules, moment: datetime) -> list[RuleAdopted]:
    """The rules to which a prediction is held that the log took at this moment."""
    return [term.adopted for terms in state.values() for term in terms if term.holds(moment)]


def _ended(terms: tuple[Term, ...], event: Event) -> tuple[Term, ...]:
    if not terms or terms[-1].until is not None:
        return terms
    return (*terms[:-1], replace(terms[-1], until=event.recorded or event.time))


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
