"""MLflow's filter language: what it says, and what the store can find of it by itself."""

import pytest

from services.registry.api.mlflow.errors import MlflowError
from services.registry.api.mlflow.filters import conditions, order, parse
from shared.log.tables import Where

KEYS: dict[str, type] = {"name": str, "version_number": int, "run_id": str}


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("name = 'a b'", "a b", True),
        ("name='it''s'", "it's", True),
        ('name = "x"', "x", True),
        ("name != 'x'", "x", False),
        ("name LIKE 'late%'", "late-flights", True),
        ("name LIKE 'Late%'", "late-flights", False),
        ("name ilike 'LATE_flights'", "late-flights", True),
        ("name LIKE 'a.c'", "abc", False),
        ("name IN ('a', 'b')", "b", True),
        ("name not in ('a')", "a", False),
        ("attribute.version_number >= 3", 3, True),
        ("version_number = '3'", 3, True),
        ("tags.`a b` = 'x'", "x", True),
        ("tag.\"a.b\" != 'x'", "y", True),
        ("tags.a.b = 'x'", None, False),
        ("tags.`mlflow.prompt.is_prompt` != 'true'", None, True),
    ],
)
def test_a_comparison_holds_or_not(text: str, value: object, holds: bool) -> None:
    [one] = parse(text, KEYS)
    assert one.holds(value) is holds


def test_comparisons_are_joined_by_and() -> None:
    found = parse(" name='a and b' AND tags.team = 'x' and version_number<4 ", KEYS)
    assert [(one.tag, one.key, one.comparator, one.value) for one in found] == [
        (False, "name", "=", "a and b"),
        (True, "team", "=", "x"),
        (False, "version_number", "<", 4),
    ]
    columns = {"name": "model", "version_number": "version"}
    assert conditions(found, columns) == (Where("model", "=", "a and b"), Where("version", "<", 4))
    assert conditions(parse("name LIKE 'a%b'", KEYS), columns) == (Where("model", "prefix", "a"),)
    assert parse("", KEYS) == []


@pytest.mark.parametrize(
    "text",
    [
        *("name", "name =", "= 'x'", "name = x", "name = 'x", "name = 'x' OR name = 'y'", "name = 'x' name = 'y'"),
        *("name = 'x' AND", "AND name = 'x'", "size = 'x'", "name > 'x'", "name = 3", "name IN ()", "name IN 'a'"),
        *("tags.a IN ('x')", "tags.a = 3", "tags.a < 'x'", "version_number LIKE '3'", "version_number = 'x'"),
        *("version_number = 1.5", "name = ('a')", "metrics.a = 'x'", "name = 'x'; DROP TABLE", "x" * 20_001),
    ],
)
def test_what_says_nothing_is_refused(text: str) -> None:
    with pytest.raises(MlflowError) as refused:
        parse(text, KEYS)
    assert (refused.value.code, refused.value.status) == ("INVALID_PARAMETER_VALUE", 400)


def test_orders() -> None:
    columns = {"name": "model", "version_number": "version"}
    assert order(["name ASC", "`version_number` desc"], columns) == ("model", "-version")
    for wrong in (["size"], ["name", "name DESC"], ["name down"]):
        with pytest.raises(MlflowError):
            order(wrong, columns)
