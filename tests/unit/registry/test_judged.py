"""How a version is judged once it is live: what may be said of it at its registration."""

import pytest

from services.registry.domain.judged import check_protected, check_task
from services.registry.domain.kpis import check_formula
from shared.events.refusal import Refused
from shared.events.registry import Field, Formula, Protected, Signature

SIGNATURE = Signature(
    inputs=(Field(name="age", type="double"), Field(name="sex", type="string"), Field(name="rooms", type="long")),
    outputs=(Field(name="p", type="double"),),
)
LABEL = Signature(inputs=(), outputs=(Field(name="label", type="string"),))


@pytest.mark.parametrize(
    ("task", "classes", "signature", "reason"),
    [
        ("multiclass", (), LABEL, "needs 'classes'"),
        ("multiclass", ("a", "a"), LABEL, "twice"),
        ("binary", ("a", "b"), SIGNATURE, "belongs to the task multiclass"),
        ("regression", (), LABEL, "No output"),
        ("multiclass", ("a", "b"), SIGNATURE, "No output"),
    ],
)
def test_a_task_that_no_output_can_answer_is_refused(task, classes, signature, reason) -> None:
    with pytest.raises(Refused, match=reason):
        check_task(task, classes, signature)


def test_tasks_that_fit_are_taken() -> None:
    check_task(None, (), SIGNATURE)
    check_task("binary", (), SIGNATURE)
    check_task("multiclass", ("a", "b"), LABEL)
    check_task("regression", (), Signature(inputs=(), outputs=()))


@pytest.mark.parametrize(
    ("protected", "reason"),
    [
        ([Protected(name="age", feature="age")], "edges"),
        ([Protected(name="age", feature="age", edges=(60.0, 25.0))], "greater"),
        ([Protected(name="age", feature="agee", edges=(25.0,))], "none of the inputs"),
        ([Protected(name="sex", feature="sex", edges=(1.0,))], "is a string"),
        ([Protected(name="segment", feature="sex")], "kept for"),
        ([Protected(name="a", edges=(1.0,))], "is the segment"),
        ([Protected(name="a"), Protected(name="b")], "Only one"),
        ([Protected(name="a"), Protected(name="a", feature="sex")], "name of its own"),
    ],
)
def test_a_protected_attribute_that_makes_no_groups_is_refused(protected, reason) -> None:
    with pytest.raises(Refused, match=reason):
        check_protected(protected, SIGNATURE)


def test_protected_attributes_that_fit_are_taken() -> None:
    bands = Protected(name="age", feature="age", edges=(25.0, 60.0), reference="25..<60")
    check_protected([bands, Protected(name="sex", feature="sex"), Protected(name="origin")], SIGNATURE)
    check_protected([Protected(name="rooms", feature="rooms")], SIGNATURE)
    check_protected([Protected(name="x", feature="unknown")], Signature(inputs=(), outputs=()))


@pytest.mark.parametrize(
    ("formula", "reason"),
    [
        (Formula(kind="formula"), "needs 'expression'"),
        (Formula(kind="formula", expression="os.system(1)"), "holds"),
        (Formula(kind="cost", threshold=0.5, expression="1"), "belongs to"),
        (Formula(kind="formula", expression="mae", threshold=7.0), "between 0 and 1"),
    ],
)
def test_a_formula_that_cannot_be_computed_is_refused(formula, reason) -> None:
    with pytest.raises(Refused, match=reason):
        check_formula(formula)


def test_a_formula_of_metrics_is_taken() -> None:
    check_formula(Formula(kind="formula", expression="12.5 * mae * cases"))
