"""Personal inputs: what may be declared, and what may never get into an event."""

import pytest

from services.registry.domain.judged import check_protected
from services.registry.domain.versions import check_reference, check_signature
from shared.events.refusal import Refused
from shared.events.registry import Field, Protected, Signature

NAME = Field(name="name", type="string", personal=True)
HOUR = Field(name="hour", type="long")
RATIO = Field(name="ratio", type="double")
P = Field(name="p", type="double")


def test_a_signature_tells_what_is_personal_and_whose_it_is() -> None:
    assert (Signature(inputs=(HOUR,), outputs=(P,)).personal, Signature(inputs=(HOUR,), outputs=(P,)).about) == (
        (),
        None,
    )
    assert Signature(inputs=(NAME, HOUR), outputs=(P,)).about == "entity"
    named = Signature(inputs=(NAME, HOUR), outputs=(P,), subject="hour")
    assert (named.personal, named.about) == (("name", "hour"), "hour")
    assert Signature(inputs=(HOUR,), outputs=(P,), subject="entity").about == "entity"


@pytest.mark.parametrize("subject", [None, "entity", "name", "hour"])
def test_a_subject_is_the_entity_or_an_input_that_can_name_somebody(subject: str | None) -> None:
    check_signature(Signature(inputs=(NAME, HOUR), outputs=(P,), subject=subject))


@pytest.mark.parametrize(
    "signature",
    [
        Signature(inputs=(NAME,), outputs=(P,), subject="nobody"),
        Signature(inputs=(NAME, RATIO), outputs=(P,), subject="ratio"),
        Signature(inputs=(NAME,), outputs=(Field(name="p", type="double", personal=True),)),
        Signature(inputs=(Field(name="entity", type="string"),), outputs=(P,), subject="entity"),
    ],
    ids=["unknown", "a measured number", "a personal output", "two things called entity"],
)
def test_what_can_name_nobody_and_personal_outputs_are_refused(signature: Signature) -> None:
    with pytest.raises(Refused) as refused:
        check_signature(signature)
    assert (refused.value.code, refused.value.status) == ("bad-signature", 422)


@pytest.mark.parametrize("signature", [
    Signature(inputs=(NAME, HOUR), outputs=(P,)), Signature(inputs=(HOUR, NAME), outputs=(P,), subject="name")
])  # fmt: skip
def test_a_reference_of_personal_values_is_refused(signature: Signature) -> None:
    check_reference({"hour": (1, 2)}, signature, 10)
    with pytest.raises(Refused) as refused:
        check_reference({"hour": (1, 2), "name": ("Ada", "Bob")}, signature, 10)
    assert refused.value.code == "personal-reference"
    assert "Ada" not in refused.value.detail


def test_a_protected_attribute_that_is_personal_is_refused() -> None:
    with pytest.raises(Refused, match="personal"):
        check_protected((Protected(name="name", feature="name"),), Signature(inputs=(NAME,), outputs=(P,)))
