"""Conditions on predictions: what they mean for every type of column, and that no value breaks their evaluation."""

from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import product
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from services.feedback.domain.conditions import check, meets
from shared.events.feedback import Condition, Operator
from shared.events.refusal import Refused

COLUMNS: dict[str, pa.Array] = {
    "f": pa.array([1.0, 2.5, None]),
    "i": pa.array([1, 2, None]),
    "i8": pa.array([1, 2, None], pa.int8()),
    "u64": pa.array([1, 2, None], pa.uint64()),
    "s": pa.array(["a", "b", None]),
    "ls": pa.array(["a", "b", None], pa.large_string()),
    "d": pa.array(["a", "b", None]).dictionary_encode(),
    "b": pa.array([True, False, None]),
    "t": pa.array([datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC), None]),
    "date": pa.array([date(2020, 1, 1), date(2020, 1, 2), None]),
    "dec": pa.array([Decimal("1.5"), Decimal("2.5"), None]),
    "list": pa.array([[1.0], [2.0], None]),
    "null": pa.nulls(3),
}
TABLE = pa.record_batch({f"feature.{name}": column for name, column in COLUMNS.items()})
OPERATORS: tuple[Operator, ...] = ("=", "!=", "<", "<=", ">", ">=", "in", "missing")
VALUES: tuple[Any, ...] = (1, 1.5, "a", "", True, 2**63 - 1, -(2**63), 1e308, "2020-01-01", (1, "a"), (300, 1), (True,))


def found(column: str, op: Operator, value: Any) -> list[int]:
    one = Condition(column=f"feature.{column}", op=op, value=value)
    check([one])
    return np.flatnonzero(meets(TABLE, [one])).tolist()


@pytest.mark.parametrize(
    ("column", "op", "value", "rows"),
    [
        ("f", ">", 1, [1]),
        ("f", "in", (2.5, 7), [1]),
        ("i", "=", 1.0, [0]),
        ("i", "in", (1.5, 2), [1]),
        ("i", "in", (1, "a"), [0]),
        ("i", "in", (True,), []),
        ("i8", "in", (300, 1), [0]),
        ("u64", ">=", 2, [1]),
        ("s", "!=", "a", [1]),
        ("ls", "in", ("a", "b", "c"), [0, 1]),
        ("d", "=", "b", [1]),
        ("d", "in", ("a", "b"), [0, 1]),
        ("d", "missing", True, [2]),
        ("b", "=", True, [0]),
        ("b", "in", (False,), [1]),
        ("b", "=", 1, []),
        ("s", ">", 1, []),
        ("dec", "in", (2.5,), [1]),
        ("null", "missing", True, [0, 1, 2]),
        ("unknown", "missing", True, [0, 1, 2]),
        ("unknown", "=", 1, []),
    ],
)
def test_rows_that_meet_a_condition(column: str, op: Operator, value: Any, rows: list[int]) -> None:
    assert found(column, op, value) == rows


def test_whatever_is_taken_can_be_evaluated_on_any_column() -> None:
    for column, op, value in product(COLUMNS, OPERATORS, VALUES):
        try:
            check([Condition(column=f"feature.{column}", op=op, value=value)])
        except Refused:
            continue
        assert all(0 <= row < 3 for row in found(column, op, value)), (column, op, value)


@pytest.mark.parametrize("value", [10**30, -(10**30), 2**63, (1, 10**30), None, (), {"a": 1}, [[1]]])
@pytest.mark.parametrize("op", ["=", "in"])
def test_what_no_prediction_could_hold_is_refused(op: Operator, value: Any) -> None:
    with pytest.raises(Refused):
        check([Condition(column="feature.f", op=op, value=value)])
