"""A policy's table out of the XML of a decision model (OMG DMN 1.1 to 1.5).

Read are decision tables whose outputs are called as what a row demands: `evidence`, `approvals`, `evidence_days`,
`approval_days`, `four_eyes`, `goal_required`, `conditions_met` and `flags`. Cells are those of FEEL that `feel` and the
engine of `decision_table` read: literals, lists, comparisons, ranges, dates and `not(…)`. PRIORITY becomes `first`, the
rules put in the order of their outputs' values.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Literal
from xml.etree.ElementTree import Element

import zen as _zen  # ships no types
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from pydantic import ValidationError

from services.registry.domain.decision_table import MAX_CELL
from services.registry.domain.demands import KNOWN
from services.registry.domain.feel import expression_of, name_of
from shared.events.refusal import Refused
from shared.events.registry import PolicyInput, PolicyRow, PolicyTable

_engine: Any = _zen
MAX_BYTES = 2**20
_DATES = ("date", "date_time", "date_and_time")
_DEFAULT = "defaultOutputEntry"
LISTS = ("evidence", "approvals")
OUTPUTS = (*LISTS, "evidence_days", "approval_days", "four_eyes", "goal_required", "conditions_met", "flags")
_HITS: Mapping[str, Literal["collect", "first", "unique"]] = {
    "UNIQUE": "unique",
    "FIRST": "first",
    "PRIORITY": "first",
    "ANY": "collect",
    "COLLECT": "collect",
    "RULE ORDER": "collect",
    "OUTPUT ORDER": "collect",
}


def table_of(xml: str, decision: str | None = None) -> PolicyTable:
    """The table of the decision of that name or id (None: the only one). Raises Refused 422 `bad-dmn`."""
    found = _tables(_parsed(xml))
    if decision is not None:
        found = [(names, table) for names, table in found if decision in names]
    if len(found) != 1:
        told = ", ".join(names[0] for names, _ in found) or "none"
        raise _bad(f"It takes one decision table, and there are {len(found)} ({told}); name one in 'dmn_decision'.")
    table = found[0][1]
    hit = _HITS.get(table.get("hitPolicy", "UNIQUE"))
    if hit is None or table.get("aggregation"):
        told = f"{table.get('hitPolicy')} {table.get('aggregation', '')}".strip()
        raise _bad(f"The hit policy {told} is none of {', '.join(_HITS)}.")
    inputs = _apart([_input(number, one) for number, one in enumerate(_of(table, "input"), 1)])
    said = _of(table, "output")
    alone = found[0][0][0] if len(said) == 1 else ""
    outputs = [_output(number, one, alone) for number, one in enumerate(said, 1)]
    rules = [(one, _row(number, one, inputs, outputs)) for number, one in enumerate(_of(table, "rule"), 1)]
    if table.get("hitPolicy") == "PRIORITY":
        rules = _by_priority(said, rules)
    rows = tuple(row for _, row in rules)
    return PolicyTable(hit=hit, inputs=tuple(inputs), rows=rows, default=_default(said, outputs))


def _parsed(xml: str) -> Element:
    if len(xml.encode()) > MAX_BYTES:
        raise _bad(f"The XML has more than {MAX_BYTES} bytes.")
    try:
        return fromstring(xml, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise _bad(f"This is no XML that is read here: {error!s:.200}.") from error


def _tables(root: Element) -> list[tuple[tuple[str, ...], Element]]:
    """Every decision that is a table, with its names."""
    found: list[tuple[tuple[str, ...], Element]] = []
    for decision in root.iter():
        if _local(decision) == "decision":
            names = tuple(name for name in (decision.get("name"), decision.get("id")) if name) or ("?",)
            found += [(names, table) for table in _of(decision, "decisionTable")]
    return found


def _input(number: int, element: Element) -> PolicyInput:
    expression = next((_text(one) for one in _of(element, "inputExpression")), "")
    name = element.get("label") or expression
    if not expression:
        raise _bad(f"Input {number} has no inputExpression.")
    if name_of(expression) in KNOWN or re.fullmatch(r"\w+( \w+)+", expression):  # FEEL allows spaces in names
        expression = name_of(expression)
    expression = expression_of(expression)
    kinds = [one.get("typeRef", "").rpartition(":")[2] for one in _of(element, "inputExpression")]
    if name_of("".join(kinds)) in _DATES:
        expression = f"{expression} == null ? null : date({expression})"
    return PolicyInput(name=name, expression=expression)


def _apart(inputs: Sequence[PolicyInput]) -> list[PolicyInput]:
    """Inputs that bear one label, each under a name of its own."""
    labels = Counter(one.name for one in inputs)
    return [
        one if labels[one.name] == 1 else one.model_copy(update={"name": f"{one.name} {number}"})
        for number, one in enumerate(inputs, 1)
    ]


def _output(number: int, element: Element, alone: str) -> str:
    """`alone`: the decision's own name, which its only output may bear instead of one."""
    name = name_of(element.get("name") or element.get("label") or alone)
    if name not in OUTPUTS:
        raise _bad(f"Output {number} is called '{name}'; there are {', '.join(OUTPUTS)}.")
    return name


def _row(number: int, rule: Element, inputs: Sequence[PolicyInput], outputs: Sequence[str]) -> PolicyRow:
    tests, results = [_text(one) for one in _of(rule, "inputEntry")], [_text(one) for one in _of(rule, "outputEntry")]
    if len(tests) != len(inputs) or len(results) != len(outputs):
        raise _bad(f"Rule {number} has {len(tests)} inputs and {len(results)} outputs, unlike the table.")
    when = {one.name: test for one, test in zip(inputs, tests, strict=True) if test not in ("", "-")}
    given = [(name, text) for name, text in zip(outputs, results, strict=True) if text not in ("", "-")]
    said = {name: _result(f"rule {number}", name, text) for name, text in given}
    notes = [_text(one) for one in _of(rule, "annotationEntry")] + [_text(one, "") for one in _of(rule, "description")]
    return _checked(f"Rule {number}", {"when": when, "annotation": " ".join(filter(None, notes)), **said})


def _checked(where: str, row: dict[str, Any]) -> PolicyRow:
    try:
        return PolicyRow.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        raise _bad(f"{where}, {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _by_priority(outputs: Sequence[Element], rules: list[tuple[Element, PolicyRow]]) -> list[tuple[Element, PolicyRow]]:
    """The rules in the order of their outputs' values (DMN 1.5, 8.2.10)."""
    orders = [_literals("the output's values", _text(one)) for out in outputs for one in _of(out, "outputValues")]
    if len(orders) < len(outputs):
        raise _bad("The hit policy PRIORITY needs the values of every output (outputValues), the first one first.")

    def place(rule: Element) -> list[int]:
        cells = [_literals("a rule", _text(one)) for one in _of(rule, "outputEntry")]
        firsts = [cell[0] if len(cell) == 1 else cell for cell in cells]
        return [order.index(one) if one in order else len(order) for one, order in zip(firsts, orders, strict=True)]

    return sorted(rules, key=lambda one: place(one[0]))


def _default(outputs: Sequence[Element], names: Sequence[str]) -> PolicyRow | None:
    """The row of outputs' default entries, where there are any."""
    entries = [(name, _text(one)) for out, name in zip(outputs, names, strict=True) for one in _of(out, _DEFAULT)]
    said = {name: _result("The default", name, text) for name, text in entries if text not in ("", "-")}
    return _checked("The default", {"annotation": "where no other row applies", **said}) if said else None


def _literals(where: str, text: str) -> list[Any]:
    if len(text) > MAX_CELL:
        raise _bad(f"A cell of {where} has more than {MAX_CELL} characters.")
    try:
        return list(_engine.evaluate_expression(f"[{text}]", {}))
    except Exception as error:
        raise _bad(f"{text} in {where} is no literal.") from error


def _result(where: str, name: str, text: str) -> Any:
    """A literal of FEEL as what the row demands; lists as `"a", "b"`, `["a", "b"]` or `"a, b"`."""
    values = _literals(f"{where}, {name}", text)
    if name not in LISTS:
        return values[0] if len(values) == 1 else values
    flat: list[Any] = []
    for value in values:
        flat += value if isinstance(value, list) else [value]
    return [part.strip() for item in flat for part in str(item).split(",") if part.strip()]


def _of(parent: Element, name: str) -> list[Element]:
    return [child for child in parent if _local(child) == name]


def _text(element: Element, inner: str = "text") -> str:
    if not inner:
        return (element.text or "").strip()
    return next(((child.text or "").strip() for child in element if _local(child) == inner), "")


def _local(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _bad(detail: str) -> Refused:
    return Refused("bad-dmn", detail, status=422)
