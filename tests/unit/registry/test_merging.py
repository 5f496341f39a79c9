"""Given two branches, when one is merged into the other, then the version says whose change won, or the conflicts."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain import merging, models
from services.registry.domain.model_state import ModelState
from shared.events.envelope import Payload
from shared.events.refusal import Refused
from shared.events.registry import Artifact, Code, DatasetRef, ModelVersionRegistered
from tests.unit.registry.test_models import MODEL, VERSION, state_of


def artifact(digit: str) -> Artifact:
    return Artifact(uri=f"file:///{digit}.onnx", sha256=digit * 64)


def version(number: int, branch: str, *parents: int, **said: Any) -> ModelVersionRegistered:
    return VERSION.model_copy(update={"version": number, "branch": branch, "parents": parents, **said})


BASE = version(1, "main", params={"C": 1, "seed": 7}, artifact=artifact("a"), training_data=())
OURS = version(2, "main", 1, params={"C": 2, "seed": 7}, artifact=artifact("b"), metrics={"auc": 0.7})
THEIRS = version(3, "try", 1, params={"C": 1, "seed": 7, "depth": 3}, artifact=artifact("c"), metrics={"auc": 0.8})


def branched(*versions: ModelVersionRegistered) -> ModelState:
    said: list[tuple[Payload, str]] = [(MODEL, "dan"), *((one, "dan") for one in versions)]
    return state_of(*said)


def merge(**changes: Any) -> models.MergeBranch:
    references = {2: {"x": (1.0,)}, 3: {"x": (2.0,)}}
    return replace(models.MergeBranch("main", 2, 3, {}, None, references, 100, "", "dan", "event-9"), **changes)


def merged(state: ModelState, command: models.MergeBranch) -> ModelVersionRegistered:
    [fact, *_] = models.decide(state, command)
    assert isinstance(fact, ModelVersionRegistered)
    return fact


def conflicts(state: ModelState, command: models.MergeBranch) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        models.decide(state, command)
    assert (refused.value.code, refused.value.status) == ("merge-conflicts", 409)
    found: Any = refused.value.extra["conflicts"]
    assert all(one["item"] in refused.value.detail and one["reason"] in refused.value.detail for one in found)
    return {one["item"]: one["reason"] for one in found}


def test_what_one_side_changed_wins_and_what_both_changed_is_a_conflict() -> None:
    state = branched(BASE, OURS, THEIRS)
    assert conflicts(state, merge()) == {"artifact": "both sides changed it"}
    found = merged(state, merge(resolve={"artifact": "theirs"}))
    assert (found.version, found.branch, found.parents) == (4, "main", (2, 3))
    assert found.params == {"C": 2, "seed": 7, "depth": 3}
    assert (found.artifact, found.metrics, found.reference) == (artifact("c"), {"auc": 0.8}, {"x": (2.0,)})
    assert found.merged is not None
    assert (found.merged.base, found.merged.won) == (
        1,
        {"params.C": "ours", "params.depth": "theirs", "artifact": "theirs"},
    )


def test_both_changed_one_parameter_until_somebody_says_which() -> None:
    theirs = THEIRS.model_copy(update={"params": {"C": 3, "seed": 7}})
    state = branched(BASE, OURS, theirs)
    assert set(conflicts(state, merge())) == {"params.C", "artifact"}
    mine = merged(state, merge(resolve={"params.C": "ours", "artifact": "ours"}))
    assert (mine.params["C"], mine.artifact, mine.reference) == (2, artifact("b"), {"x": (1.0,)})
    own = merged(state, merge(resolve={"params.C": {"value": 9}, "artifact": "ours"}))
    assert own.merged is not None
    assert (own.params["C"], own.merged.won["params.C"]) == (9, "given")


def test_an_artifact_trained_otherwise_than_merged_is_a_conflict_until_it_is_trained_anew() -> None:
    theirs = THEIRS.model_copy(update={"artifact": BASE.artifact, "metrics": {}, "code": Code(repo="r", commit="2")})
    state = branched(BASE, OURS, theirs)
    assert "merged parameters" in conflicts(state, merge())["artifact"]
    trained = VERSION.model_copy(
        update={"artifact": artifact("d"), "metrics": {"auc": 0.9}, "reference": {"x": (3.0,)}}
    )
    found = merged(state, merge(given=trained))
    assert found.merged is not None
    assert (found.artifact, found.metrics, found.merged.won["artifact"]) == (artifact("d"), {"auc": 0.9}, "given")
    assert (found.reference, found.code) == ({"x": (3.0,)}, Code(repo="r", commit="2"))


def test_a_branch_that_only_went_on_merges_without_a_word() -> None:
    theirs = version(
        2, "try", 1, params={"C": 5}, artifact=artifact("c"), training_data=(DatasetRef(dataset="d", version=2),)
    )
    found = merged(branched(BASE, theirs), merge(ours=1, theirs=2))
    assert (found.params, found.artifact, found.training_data) == ({"C": 5}, artifact("c"), theirs.training_data)
    assert found.merged is not None
    assert found.merged.won["params.seed"] == "theirs"


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (merge(onto="mian"), "unknown-branch"),
        (merge(ours=1), "branch-moved"),
        (merge(theirs=1), "already-merged"),
        (merge(theirs=9), "unknown-version"),
        (merge(resolve={"params.D": "ours"}), "bad-resolution"),
        (merge(resolve={"code": {"value": 1}}), "bad-resolution"),
    ],
)
def test_what_cannot_be_merged_says_why(command: models.MergeBranch, code: str) -> None:
    with pytest.raises(Refused) as refused:
        models.decide(branched(BASE, OURS, THEIRS), command)
    assert refused.value.code == code


def test_of_two_merges_at_once_one_wins_and_the_other_is_told() -> None:
    other = version(4, "other", 1, params={"C": 1, "seed": 8}, artifact=artifact("e"))
    state = branched(BASE, OURS, THEIRS, other)
    first = merged(state, merge(resolve={"artifact": "theirs"}))
    then = branched(BASE, OURS, THEIRS, other, first)
    with pytest.raises(Refused, match="moved from version 2 to 5") as refused:
        models.decide(then, merge(theirs=4, resolve={"artifact": "theirs"}))
    assert (refused.value.code, refused.value.extra["head"]) == ("branch-moved", 5)
    again = merged(then, merge(ours=5, theirs=4, resolve={"artifact": "theirs"}))
    assert (again.parents, again.params) == ((5, 4), {"C": 2, "seed": 8, "depth": 3})


PARAMS = st.dictionaries(st.sampled_from("abc"), st.integers(0, 2), max_size=3)


@given(base=PARAMS, ours=PARAMS, theirs=PARAMS)
def test_a_merge_is_the_same_from_either_side_where_nothing_conflicts(base: Any, ours: Any, theirs: Any) -> None:
    state = branched(
        BASE.model_copy(update={"params": base}),
        OURS.model_copy(update={"params": ours, "artifact": artifact("b")}),
        THEIRS.model_copy(update={"params": theirs, "artifact": artifact("c")}),
    )
    trained = VERSION.model_copy(update={"artifact": artifact("d")})
    there = merge(given=trained)
    back = merge(onto="try", ours=3, theirs=2, given=trained)
    clashes = {
        key
        for key in base.keys() | ours.keys() | theirs.keys()
        if (ours.get(key) != theirs.get(key) and base.get(key) not in (ours.get(key), theirs.get(key)))
        or ((key not in ours) != (key not in theirs) and base.get(key) not in (ours.get(key), theirs.get(key)))
    }
    if clashes:
        found = {item.removeprefix("params.") for item in conflicts(state, there)}
        assert found == clashes == {item.removeprefix("params.") for item in conflicts(state, back)}
        return
    one, other = merged(state, there), merged(state, back)
    assert one.params == other.params
    for key, value in one.params.items():
        assert value in (ours.get(key), theirs.get(key))


def test_a_history_is_walked_from_the_newest_and_no_further_than_asked() -> None:
    state = branched(BASE, OURS, THEIRS, version(4, "main", 2, 3))
    assert merging.older(state, [4], 9) == ([4, 3, 2, 1], [])
    assert merging.older(state, [4], 9, 3) == ([2, 1], [])
    assert merging.older(state, [4], 1) == ([4], [3, 2])


@given(st.lists(st.sets(st.integers(1, 20), max_size=2), max_size=20), st.integers(1, 4))
def test_a_history_page_by_page_is_the_whole_history(parents: list[set[int]], size: int) -> None:
    """Each page goes on where the one before ended, however the branches lie."""
    said = [sorted(one for one in named if one < number) for number, named in enumerate(parents, 2)]
    state = branched(BASE, *(version(number, "main", *mine) for number, mine in enumerate(said, 2)))
    whole, end = merging.older(state, [state.last], 100)
    ancestors, reached = {state.last}, [state.last]
    while reached:
        new = set(state.versions[reached.pop()].registered.parents) - ancestors
        ancestors |= new
        reached += new
    assert (whole, end) == (sorted(ancestors, reverse=True), [])
    paged: list[int] = []
    starts = [state.last]
    while starts:
        shown, starts = merging.older(state, starts, size)
        assert merging.older(state, [state.last], size, (paged or [state.last + 1])[-1])[0] == shown
        paged += shown
    assert paged == whole
