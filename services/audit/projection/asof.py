"""What held at T as it was known at K: the pure reading of edge facts.

An edge without a scope is said once and holds from then on. Edges of one (source, scope) are said anew, all together,
by every event of that scope (the traffic of a deployment, an alias of a model): the latest word that speaks about a
time up to T, among the words known by K, tells which of them hold. Latest is by record time and place in the stream,
not by happened time: a statement recorded later about an earlier time overrules what was said before about all times
since, as it does in the stream's own state. So the answer for now is always the state that the streams have.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from shared.log.tables import Row


def word(row: Row) -> tuple[datetime, int, str]:
    """The order of statements: by record time, then by place in the stream, then by event id."""
    return row["known_at"], row["sequence"], row["event_id"]


def known(rows: Iterable[Row], at: datetime, known_at: datetime) -> list[Row]:
    """The facts about times up to `at` that were recorded by `known_at`."""
    return [row for row in rows if row["valid_at"] <= at and row["known_at"] <= known_at]


def holding(rows: Iterable[Row], at: datetime, known_at: datetime) -> list[Row]:
    """The edges that hold, one row for each, in the order in which they were said.

    `rows` must hold every fact of each scope that occurs among them.
    """
    facts = known(rows, at, known_at)
    newest: dict[tuple[str, str], tuple[Any, ...]] = {}
    for row in facts:
        if row["scope"]:
            group = (row["src"], row["scope"])
            newest[group] = max(newest.get(group, word(row)), word(row))
    chosen: dict[tuple[str, str, str, str], Row] = {}
    for row in sorted(facts, key=word):
        if row["scope"] and newest[row["src"], row["scope"]] != word(row):
            continue
        name = (row["src"], row["relation"], row["role"], row["dst"])
        if row["present"] and (row["scope"] or name not in chosen):
            chosen[name] = row
    return list(chosen.values())
