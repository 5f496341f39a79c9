"""Formulas of KPIs: numbers, names of metrics, + - * /, parentheses, min and max. Nothing else can be written in them.

`(300 * false_negatives + 60 * false_positives) / cases` for instance.
"""

import ast
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

MAX_LENGTH = 500
_OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
}
_CALLS: dict[str, Callable[..., float]] = {"min": min, "max": max}


class NotAnExpression(ValueError):
    """A text that is no formula; `str(error)` goes on after its name."""


def names_in(text: str) -> frozenset[str]:
    """The metrics that a formula names. Raises NotAnExpression."""
    names: set[str] = set()
    _visit(_parsed(text), names)
    return frozenset(names)


def value_of(text: str, figures: Mapping[str, float]) -> float | None:
    """The formula's value; None where a metric that it names is not known, or where it divides by zero.

    Raises NotAnExpression.
    """
    if not names_in(text) <= figures.keys():
        return None
    try:
        found = _value(_parsed(text), figures)
    except (ZeroDivisionError, OverflowError):
        return None
    return found if math.isfinite(found) else None


@lru_cache(maxsize=1_000)
def _parsed(text: str) -> ast.expr:
    if len(text) > MAX_LENGTH:
        raise NotAnExpression(f"is longer than {MAX_LENGTH} characters")
    try:
        return ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise NotAnExpression("is no formula of numbers, metrics, + - * / and parentheses") from error


def _visit(node: ast.expr, names: set[str]) -> None:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool) and math.isfinite(value):
            return
        case ast.Name(id=name):
            names.add(name)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd(), operand=operand):
            _visit(operand, names)
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _OPERATORS:
            _visit(left, names)
            _visit(right, names)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _CALLS and len(args) > 1:
            for one in args:
                _visit(one, names)
        case _:
            raise NotAnExpression(f"holds '{ast.unparse(node)[:60]}', which is no number, metric or + - * / of them")


def _value(node: Any, figures: Mapping[str, float]) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.Name(id=name):
            return float(figures[name])
        case ast.UnaryOp(op=operator, operand=operand):
            value = _value(operand, figures)
            return -value if isinstance(operator, ast.USub) else value
        case ast.BinOp(left=left, op=operator, right=right):
            return _OPERATORS[type(operator)](_value(left, figures), _value(right, figures))
        case _:
            return float(_CALLS[node.func.id](*(_value(one, figures) for one in node.args)))
