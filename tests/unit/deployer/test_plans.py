"""A plan reads a lone row as the tensors would be read one by one, or leaves it to that."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.deployer.domain.state import INITIAL, State
from services.deployer.serving.frames import frame_of, known_inputs, spread
from services.deployer.serving.plans import Plan, plan_of
from services.deployer.serving.tensors import DATATYPES, read_tensors
from shared.events.deployer import Runtime, Share, Traffic
from shared.events.registry import Field, Signature
from shared.runtime.predictions import Target

INPUTS = (
    Field(name="x", type="double"),
    Field(name="n", type="long"),
    Field(name="b", type="boolean"),
    Field(name="c", type="string", required=False),
    Field(name="d", type="double", required=False),
)
SIGNATURE = Signature(inputs=INPUTS, outputs=(Field(name="y", type="double"),))
RIGHT = {"x": ("FP64", 1.5), "n": ("INT64", 7), "b": ("BOOL", True), "c": ("BYTES", "AA"), "d": ("FP64", 2)}


def state(traffic: Traffic, kind: Any = "onnx") -> State:
    return State("late", "flights", 1, "production", Runtime(kind=kind), INITIAL.resources, traffic)


def plan_for(*signatures: Signature, traffic: Traffic | None = None, kind: Any = "onnx") -> Plan | None:
    served = {at: (Target("late", "flights", at), one) for at, one in enumerate(signatures, 1)}
    challengers = tuple(Share(version=at, percent=10.0) for at in list(served)[1:])
    traffic = traffic or Traffic(champion=1, challengers=challengers)
    return plan_of(state(traffic, kind), list(served), served)


def tensors(**changed: Any) -> list[dict[str, Any]]:
    found = {name: {"name": name, "datatype": kind, "shape": [1], "data": [one]} for name, (kind, one) in RIGHT.items()}
    for name, change in changed.items():
        found[name] = found[name] | change
    return list(found.values())


def one_by_one(asked: Any) -> list[Any]:
    """What the whole way through the tensors makes of a request. Raises Problem."""
    names = [one.name for one in INPUTS]
    count, named = spread(read_tensors(asked, 1_000), names, 1_000)
    known_inputs(named, names)
    frame = frame_of(count, named, SIGNATURE)
    assert frame.rows == 1
    return [column.item(0) for column in frame.columns.values()]


def same(one: list[Any], other: list[Any]) -> bool:
    return [type(value) for value in one] == [type(value) for value in other] and all(
        a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True)
    )


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_infinity=False), st.text(max_size=2)
)
TENSOR = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["x", "n", "b", "c", "d", "z"]),
        "datatype": st.sampled_from([*DATATYPES, "FP65"]),
        "shape": st.sampled_from([[1], [1, 1], [2], [True], [1.0], [], 1]),
        "data": st.one_of(st.lists(VALUES, max_size=2), VALUES, st.lists(st.lists(VALUES, max_size=1), max_size=1)),
    },
    optional={"parameters": st.just({})},
)
CHANGES = st.dictionaries(st.sampled_from(list(RIGHT)), TENSOR, max_size=2)


@given(CHANGES, st.lists(st.sampled_from(list(RIGHT)), max_size=2), st.lists(TENSOR, max_size=2))
def test_what_a_plan_reads_is_what_the_tensors_say(changes: Any, without: list[str], more: list[Any]) -> None:
    plan = plan_for(SIGNATURE)
    assert plan is not None
    asked = [one for one in tensors(**changes) if one["name"] not in without] + more
    values = plan.values(asked)
    if values is not None:
        assert same(values, one_by_one(asked))


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, [1.5, 7, True, "AA", 2.0]),
        ({"x": {"data": [None]}}, [math.nan, 7, True, "AA", 2.0]),
        ({"x": {"data": [-3]}}, [-3.0, 7, True, "AA", 2.0]),
    ],
)
def test_a_row_as_most_come_is_read(changed: Any, expected: list[Any]) -> None:
    plan = plan_for(SIGNATURE)
    assert plan is not None
    values = plan.values(tensors(**changed))
    assert values is not None
    assert same(values, expected)


def test_what_need_not_be_given_is_missing() -> None:
    plan = plan_for(SIGNATURE)
    assert plan is not None
    values = plan.values(tensors()[:3])
    assert values is not None
    assert same(values, [1.5, 7, True, "", math.nan])


OTHER = Signature(inputs=INPUTS[:3], outputs=SIGNATURE.outputs)
NAMELESS = Signature(inputs=INPUTS, outputs=())
PERSONAL = Signature(inputs=INPUTS, outputs=SIGNATURE.outputs, subject="c")


@pytest.mark.parametrize(
    ("signatures", "more"),
    [
        ([SIGNATURE, OTHER], {}),
        ([NAMELESS], {}),
        ([PERSONAL], {}),
        ([SIGNATURE], {"kind": "v2"}),
        ([SIGNATURE], {"traffic": Traffic(champion=1, shadows=(2,))}),
    ],
)
def test_what_needs_a_closer_look_has_no_plan(signatures: list[Signature], more: dict[str, Any]) -> None:
    assert plan_for(*signatures, **more) is None


@pytest.mark.parametrize(
    ("shadow", "planned"), [(SIGNATURE, True), (NAMELESS, True), (OTHER, False), (PERSONAL, False), (None, False)]
)
def test_shadows_that_take_the_same_inputs_are_planned_for(shadow: Signature | None, planned: bool) -> None:
    known = {1: SIGNATURE} | ({2: shadow} if shadow is not None else {})
    served = {at: (Target("late", "flights", at), one) for at, one in known.items()}
    assert (plan_of(state(Traffic(champion=1, shadows=(2,))), [1], served) is not None) is planned


def test_a_shadow_is_asked_what_the_tensors_say() -> None:
    plan = plan_for(SIGNATURE)
    assert plan is not None
    for asked in (tensors(), tensors()[:3], tensors(x={"data": [None]})):
        values = plan.values(asked)
        assert values is not None
        frame = plan.frame(values)
        count, named = spread(read_tensors(asked, 1_000), [one.name for one in INPUTS], 1_000)
        other = frame_of(count, named, SIGNATURE)
        assert (frame.rows, list(frame.columns)) == (1, list(other.columns))
        for name, column in frame.columns.items():
            assert column.dtype == other.columns[name].dtype
            assert same(column.tolist(), other.columns[name].tolist())
