"""What a model answered against what its signature promises."""

import numpy as np
import pytest

from shared.events.registry import Field, Signature
from shared.models import Unservable
from shared.models.outputs import Output, output_columns

LABELS = np.array([0, 1, 1])
SCORES = np.array([[0.75, 0.25], [0.5, 0.5], [0.25, 0.75]], np.float32)


def signature(**outputs: str) -> Signature:
    return Signature(inputs=(), outputs=tuple(Field(name=name, type=kind) for name, kind in outputs.items()))  # type: ignore[arg-type]


def columns(wanted: Signature, *outputs: tuple[str, Output], rows: int = 3) -> dict[str, list[object]]:
    found = output_columns([name for name, _ in outputs], [array for _, array in outputs], rows, wanted)
    return {name: column.tolist() for name, column in found.items()}


CLASSIFIER = (("output_label", LABELS), ("output_probability", SCORES))


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (signature(probability="double"), {"probability": [0.25, 0.5, 0.75]}),
        (signature(output_probability="double"), {"output_probability": [0.25, 0.5, 0.75]}),
        (signature(late="long", p="double"), {"late": [0, 1, 1], "p": [0.25, 0.5, 0.75]}),
        (signature(p="double", late="long"), {"p": [0.25, 0.5, 0.75], "late": [0, 1, 1]}),
        (signature(no="double", yes="double"), {"no": [0.75, 0.5, 0.25], "yes": [0.25, 0.5, 0.75]}),
        (signature(output_label="boolean"), {"output_label": [False, True, True]}),
        (signature(output_label="string"), {"output_label": ["0", "1", "1"]}),
        (
            signature(),
            {
                "output_label": [0, 1, 1],
                "output_probability_0": [0.75, 0.5, 0.25],
                "output_probability_1": [0.25, 0.5, 0.75],
            },
        ),
    ],
)
def test_a_classifiers_outputs(wanted: Signature, found: dict[str, list[object]]) -> None:
    assert columns(wanted, *CLASSIFIER) == found


MAPPED = ("output_probability", [{"hi": 0.25, "lo": 0.75}, {"hi": 0.5, "lo": 0.5}, {"hi": 0.75, "lo": 0.25}])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (signature(lo="double", hi="double"), {"lo": [0.75, 0.5, 0.25], "hi": [0.25, 0.5, 0.75]}),
        (signature(first="double", second="double"), {"first": [0.25, 0.5, 0.75], "second": [0.75, 0.5, 0.25]}),
        (signature(output_probability="double"), {"output_probability": [0.75, 0.5, 0.25]}),
        (signature(late="long", p="double"), {"late": [0, 1, 1], "p": [0.75, 0.5, 0.25]}),
        (
            signature(),
            {
                "output_label": [0, 1, 1],
                "output_probability_hi": [0.25, 0.5, 0.75],
                "output_probability_lo": [0.75, 0.5, 0.25],
            },
        ),
    ],
)
def test_the_classes_of_a_map_are_known_by_their_names(wanted: Signature, found: dict[str, list[object]]) -> None:
    assert columns(wanted, ("output_label", LABELS), MAPPED) == found


def test_separate_tensors_serve_separate_outputs_in_turn() -> None:
    low, high = ("a", np.array([[1.0], [2.0], [3.0]])), ("b", np.array([4.0, 5.0, 6.0]))
    assert columns(signature(low="double", high="double"), low, high) == {"low": [1, 2, 3], "high": [4, 5, 6]}
    assert columns(signature(b="double", other="double"), low, high) == {"b": [4, 5, 6], "other": [1, 2, 3]}


def test_a_scalar_answers_one_row() -> None:
    assert columns(signature(p="double"), ("p", np.array(5.0)), rows=1) == {"p": [5.0]}


@pytest.mark.parametrize(
    ("wanted", "output"),
    [
        (signature(p="double"), ("label", LABELS)),
        (signature(label="long"), ("label", np.array(["a", "b", "c"]))),
        (signature(p="long"), ("p", np.array([0.5, 1.0, 1.5]))),
        (signature(p="double"), ("p", np.array([1.0, 2.0]))),
        (signature(p="double"), ("p", np.zeros((3, 2, 2)))),
        (signature(p="double"), ("p", [{0: 0.5}] * 2)),
    ],
)
def test_what_does_not_fit_is_not_served(wanted: Signature, output: tuple[str, Output]) -> None:
    with pytest.raises(Unservable):
        columns(wanted, output)
