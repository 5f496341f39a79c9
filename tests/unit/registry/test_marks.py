"""Given a model's history, when somebody tags, describes, moves or retires, then it is said beside what was there."""

import pytest

from services.registry.domain import models, policies, retiring
from shared.events.refusal import Refused
from shared.events.registry import (
    AliasMoved,
    DescriptionChanged,
    GateChanged,
    ModelRegistered,
    ModelRetired,
    ModelVersionRegistered,
    PolicyAdopted,
    Stage,
    StageMoved,
    TagChanged,
    VersionRetired,
)
from tests.unit.registry.test_models import MODEL, OPEN, VERSION, Said, register, state_of

TAGGED: Said = (TagChanged(model="m", version=1, key="k", before=None, after="v"), "dan")
BEST: Said = (AliasMoved(model="m", alias="best", before=None, after=1), "dan")
RETIRED: Said = (VersionRetired(model="m", version=1, reason="old"), "dan")
PRODUCTION: dict[Stage, PolicyAdopted] = {"production": policies.DEFAULTS["production"]}


def test_a_tag_keeps_what_was_there_and_the_same_again_says_nothing() -> None:
    [first] = models.decide(state_of(*OPEN), models.ChangeTags(1, {"k": "v"}, "why"))
    assert first == TagChanged(model="m", version=1, key="k", before=None, after="v", reason="why")
    assert models.decide(state_of(*OPEN, TAGGED), models.ChangeTags(1, {"k": "v"})) == []
    [gone] = models.decide(state_of(*OPEN, TAGGED), models.ChangeTags(1, {"k": None}))
    assert gone == TagChanged(model="m", version=1, key="k", before="v", after=None)
    [of_model] = models.decide(state_of(*OPEN, TAGGED), models.ChangeTags(None, {"k": "w"}))
    assert of_model == TagChanged(model="m", version=None, key="k", before=None, after="w")


def test_a_description_is_said_anew() -> None:
    said = models.decide(state_of(*OPEN), models.Describe(1, "better"))
    assert said == [DescriptionChanged(model="m", version=1, description="better")]
    assert models.decide(state_of(*OPEN, (said[0], "dan")), models.Describe(1, "better")) == []


def test_champion_needs_the_gate_only_to_come_not_to_go() -> None:
    closed = state_of(*OPEN[:3])
    with pytest.raises(Refused, match="approval-risk_manager") as refused:
        models.decide(closed, models.MoveAlias("champion", 1, "", "production", PRODUCTION))
    assert (refused.value.code, refused.value.status) == ("gate-closed", 409)
    assert models.decide(closed, models.MoveAlias("candidate", 1))
    assert models.decide(state_of(*OPEN), models.MoveAlias("champion", 1, "", "production", PRODUCTION))
    there = state_of(*OPEN[:3], (AliasMoved(model="m", alias="champion", before=None, after=1), "dan"))
    assert models.decide(there, models.MoveAlias("champion", None, "", "production", PRODUCTION))


def test_a_stage_archives_what_stood_there() -> None:
    second: Said = (VERSION.model_copy(update={"version": 2}), "dan")
    there: Said = (StageMoved(model="m", version=2, before="None", after="Production"), "dan")
    moved = models.decide(state_of(*OPEN, second, there), models.MoveStage(1, "Production", True, PRODUCTION))
    assert moved == [
        StageMoved(model="m", version=1, before="None", after="Production"),
        StageMoved(model="m", version=2, before="Production", after="Archived"),
    ]


def test_a_retired_version_loses_its_aliases_and_its_gates() -> None:
    facts = models.decide(state_of(*OPEN, BEST), models.RetireVersion(1, "old", PRODUCTION))
    assert [type(fact).__name__ for fact in facts] == ["VersionRetired", "AliasMoved", "GateChanged"]
    assert facts[1] == AliasMoved(model="m", alias="best", before=1, after=None, reason="version 1 retired: old")
    assert "not-retired" in str(facts[2])
    assert models.decide(state_of(*OPEN, RETIRED), models.RetireVersion(1, "again", PRODUCTION)) == []


def test_a_retired_model_may_be_registered_again_and_goes_on_counting() -> None:
    facts = models.decide(state_of(*OPEN), models.RetireModel("gone"))
    assert facts == [VersionRetired(model="m", version=1, reason="gone"), ModelRetired(model="m", reason="gone")]
    retired = state_of(*OPEN, *((fact, "dan") for fact in facts))
    with pytest.raises(Refused, match="was retired"):
        models.decide(retired, register())
    [again] = models.decide(retired, models.RegisterModel(MODEL))
    assert isinstance(again, ModelRegistered)
    [second, *_] = models.decide(state_of(*OPEN, *((fact, "dan") for fact in facts), (again, "dan")), register())
    assert isinstance(second, ModelVersionRegistered)
    assert second.version == 2


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (models.ChangeTags(9, {"k": "v"}), "unknown-version"),
        (models.ChangeTags(1, {"": "v"}), "bad-tag"),
        (models.ChangeTags(1, {"k": "v" * 100_001}), "bad-tag"),
        (models.ChangeTags(1, {str(number): "v" for number in range(1_001)}), "bad-tag"),
        (models.Describe(9, "x"), "unknown-version"),
        (models.RetireVersion(1, " "), "no-reason"),
        (models.RetireVersion(9, "x"), "unknown-version"),
        (models.MoveAlias("a b", 1), "bad-name"),
    ],
)
def test_what_is_refused(command: models.Command, code: str) -> None:
    with pytest.raises(Refused) as refused:
        models.decide(state_of(*OPEN), command)
    assert refused.value.code == code


def test_nothing_points_at_what_was_retired() -> None:
    for command in (models.MoveAlias("best", 1), models.MoveStage(1, "Archived", False)):
        with pytest.raises(Refused, match="was retired: old"):
            models.decide(state_of(*OPEN, RETIRED), command)


def test_the_newest_of_each_stage_is_known_whatever_moved_or_retired() -> None:
    versions: list[Said] = [(VERSION.model_copy(update={"version": number}), "dan") for number in (2, 3)]
    moved: Said = (StageMoved(model="m", version=3, before="None", after="Archived"), "dan")
    state = state_of(*OPEN, *versions, moved)
    assert (state.newest_in("None"), state.newest_in("Archived"), state.newest_in("Staging")) == (2, 3, None)
    gone: Said = (VersionRetired(model="m", version=2, reason="old"), "dan")
    again: Said = (StageMoved(model="m", version=3, before="Archived", after="None"), "dan")
    assert state_of(*OPEN, *versions, moved, gone).newest_in("None") == 1
    assert state_of(*OPEN, *versions, moved, gone, again).all_in("None") == [1, 3]


def test_of_a_model_with_many_versions_some_are_stated_and_all_are_retired(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "PIECE", 2)
    more: list[Said] = [(VERSION.model_copy(update={"version": number}), "dan") for number in (2, 3, 4)]
    stage: Said = (StageMoved(model="m", version=2, before="None", after="Production"), "dan")
    before = [*OPEN, *more, stage, BEST]
    facts = models.decide(state_of(*before), models.RetireModel("gone", PRODUCTION))
    assert [fact.version for fact in facts if isinstance(fact, VersionRetired)] == [1, 4]
    assert facts[-1] == ModelRetired(model="m", reason="gone")
    told: list[Said] = [(fact, "dan") for fact in facts]
    again: Said = (MODEL.model_copy(), "dan")
    for state in (state_of(*before, *told), state_of(*before, *told, again)):
        assert [models.version_of(state, number).retired for number in (1, 2, 3, 4)] == ["gone"] * 4
        assert (state.newest_in("None"), state.newest_in("Production")) == (None, None)
        assert models.decide(state, models.RetireVersion(2, "else", PRODUCTION)) == []
        rest = models.decide(state, models.RetireWithModel((1, 2, 3, 4, 5), PRODUCTION))
        assert [fact.version for fact in rest if isinstance(fact, VersionRetired)] == [2, 3]
        assert all("not-retired" in str(fact) for fact in rest if isinstance(fact, GateChanged))
        [second, third, *_] = [fact for fact in rest if isinstance(fact, VersionRetired)]
        assert {second.reason, third.reason} == {"gone"}
        after_all = state_of(*before, *told, again, *((fact, "dan") for fact in rest))
        assert models.decide(after_all, models.RetireWithModel((1, 2, 3, 4), PRODUCTION)) == []
    fresh = models.decide(state_of(*before, *told, again), register())
    assert not any("not-retired" in str(fact) for fact in fresh)


def test_aliases_beyond_what_is_stated_at_once_point_nowhere_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retiring, "PIECE", 1)
    second: Said = (VERSION.model_copy(update={"version": 2}), "dan")
    other: Said = (AliasMoved(model="m", alias="other", before=None, after=2), "dan")
    facts = models.decide(state_of(*OPEN, second, BEST, other), models.RetireModel("gone"))
    assert [(fact.alias, fact.after) for fact in facts if isinstance(fact, AliasMoved)] == [
        ("other", None),
        ("best", None),
    ]
