"""Which rows of a policy's decision table a version is held to; tests by the ZEN engine (OMG DMN 1.5, much of FEEL).

A test of a missing value (null) never applies, but for one that says `null`. What cannot be told ends in Unclear, and
so in a closed gate, never in a demand that is left out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import Any

import zen as _zen  # ships no types

from services.registry.domain.feel import Test, test_of
from shared.events.refusal import Refused
from shared.events.registry import PolicyRow, PolicyTable

_engine: Any = _zen
MAX_INPUTS = 50
MAX_ROWS = 1_000
MAX_CELL = 1_000
_WORDS = re.compile(r"[A-Za-z_]\w*")


class Unclear(Exception):
    """The table gives no answer for this version; `str(error)` says why."""


def rows_for(table: PolicyTable, facts: Mapping[str, Any]) -> Sequence[PolicyRow]:
    """The rows that apply. Raises Unclear where none does, a test fails, or several do in a table of hit `unique`."""
    values = {one.name: _value(one.expression or one.name, facts) for one in table.inputs}
    found: list[PolicyRow] = []
    for number, row in enumerate(table.rows, 1):
        if all(_applies(number, name, cell, values[name]) for name, cell in row.when.items()):
            found.append(row)
            if table.hit == "first":
                break
    if not found and table.default is not None:
        return [table.default]
    if not found:
        told = ", ".join(f"{name} {value!r}" for name, value in values.items())
        raise Unclear(f"No row of the policy's table is about {told}.")
    if table.hit == "unique" and len(found) > 1:
        raise Unclear(f"{len(found)} rows of the policy's table apply, and only one may.")
    return found


def check_table(table: PolicyTable, known: Sequence[str]) -> None:
    """Raises Refused 422 `bad-table` with the place. `known`: what expressions may speak of."""
    names = [one.name for one in table.inputs]
    if not 0 < len(names) <= MAX_INPUTS or not 0 < len(table.rows) <= MAX_ROWS:
        raise _bad(f"A table has 1 to {MAX_INPUTS} inputs and 1 to {MAX_ROWS} rows.")
    if len(set(names)) < len(names):
        raise _bad("Each input needs a name of its own.")
    for one in table.inputs:
        _check_input(one.expression or one.name, known)
    for number, row in enumerate(table.rows, 1):
        for name, cell in row.when.items():
            if name not in names:
                raise _bad(f"Row {number} tests '{name}', which is none of the inputs: {', '.join(names)}.")
            _check_cell(f"row {number}, {name}", cell)
        if any(days is not None and days < 1 for days in (row.evidence_days, row.approval_days)):
            raise _bad(f"Row {number} counts days from 1 on.")


def _check_input(expression: str, known: Sequence[str]) -> None:
    if len(expression) > MAX_CELL:
        raise _bad(f"The input '{expression:.40}…' has more than {MAX_CELL} characters.")
    root = _WORDS.findall(expression)
    if not any(word in known for word in root):
        raise _bad(f"The input '{expression}' speaks of nothing known; there are {', '.join(known)}.")
    try:
        _engine.compile_expression(expression)
    except Exception as error:  # the engine raises a class without a name of its own
        raise _bad(f"The input '{expression}' cannot be read: {_said(error)}") from error


def _check_cell(where: str, cell: str) -> None:
    if len(cell) > MAX_CELL:
        raise _bad(f"The test in {where} has more than {MAX_CELL} characters.")
    try:
        _, test = _test(cell)
    except Exception as error:
        raise _bad(f"The test in {where}, {cell}, cannot be read: {_said(error)}") from error
    if test.unknown:
        raise _bad(f'The test in {where} says {test.unknown[0]}; write "{test.unknown[0]}" for that text.')


def _applies(number: int, name: str, cell: str, value: Any) -> bool:
    if cell.strip() in ("", "-"):
        return True
    if value is None:
        return cell.strip() == "null"
    try:
        compiled, test = _test(cell)
        return (compiled.evaluate({"$": value, **test.texts}) is True) != test.denied
    except Exception as error:
        raise Unclear(f"Row {number} tests {name} by {cell}, which does not go with {value!r}.") from error


def _value(expression: str, facts: Mapping[str, Any]) -> Any:
    try:
        return _input(expression).evaluate(dict(facts))
    except Exception as error:
        raise Unclear(f"'{expression}' cannot be told of this version: {_said(error)}") from error


@lru_cache(1_000)
def _input(expression: str) -> Any:
    return _engine.compile_expression(expression)


@lru_cache(10_000)
def _test(cell: str) -> tuple[Any, Test]:
    """A test, compiled and as it was read."""
    test = test_of(cell)
    return _engine.compile_unary_expression(test.text), test


def _said(error: Exception) -> str:
    """What the engine says: it packs its sentence in JSON, with a trace of the stack behind it."""
    said = (str(error).splitlines() or [""])[0]
    with suppress(ValueError, TypeError, KeyError):
        said = str(json.loads(said)["source"])
    return said.rstrip(".")[:200] + "."


def _bad(detail: str) -> Refused:
    return Refused("bad-table", detail, status=422)
