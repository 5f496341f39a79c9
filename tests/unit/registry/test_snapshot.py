"""A snapshot of a model's state is what a fold of its events gives, and goes on as that does."""

import pytest

from services.registry.domain import snapshot
from services.registry.domain.model_state import ModelState, after, initial
from shared.events import registry
from shared.events.envelope import Payload
from tests.replay.samples import AT, PAYLOADS

FACTS: list[Payload] = [
    fact
    for fact in PAYLOADS
    if isinstance(fact, registry.RegistryPayload) and getattr(fact, "model", None) == "late-flights"
]
[VERSION] = [fact for fact in FACTS if isinstance(fact, registry.ModelVersionRegistered)]


def folded(facts: list[Payload], state: ModelState = initial) -> ModelState:
    for place, fact in enumerate(facts):
        state = after(state, fact, "dan", f"event-{place}", AT)
    return state


def numbered(last: int, first: int = 1) -> list[Payload]:
    return [VERSION.model_copy(update={"version": one, "branch": f"b{one % 3}"}) for one in range(first, last + 1)]


def kept(state: ModelState) -> ModelState:
    bodies = [part.body for part in snapshot.parts(state, None)]
    return snapshot.restored(snapshot.head(state), bodies)


@pytest.mark.parametrize("count", range(len(FACTS) + 1))
def test_it_holds_whatever_may_be_stated_of_a_model(count: int) -> None:
    state = folded(FACTS[:count])
    assert kept(state) == state


def test_a_fold_goes_on_from_it() -> None:
    state = folded([FACTS[0], *numbered(snapshot.PART + 50)])
    more = [*FACTS[2:], *numbered(snapshot.PART + 60, snapshot.PART + 51)]
    assert folded(more, kept(state)) == folded(more, state)
    assert kept(folded(more, kept(state))) == folded(more, state)


def test_only_parts_in_which_something_changed_are_written_again() -> None:
    state = kept(folded([FACTS[0], *numbered(3 * snapshot.PART)]))
    assert list(snapshot.parts(state, state)) == []
    tag = registry.TagChanged(model="late-flights", version=snapshot.PART + 1, key="a", before=None, after="b")
    changed = folded([tag, *numbered(3 * snapshot.PART + 1, 3 * snapshot.PART + 1)], state)
    assert [part.number for part in snapshot.parts(changed, state)] == [1, 3]


def test_parts_of_another_state_are_refused() -> None:
    state = folded([FACTS[0], *numbered(snapshot.PART + 1)])
    bodies = [part.body for part in snapshot.parts(state, None)]
    with pytest.raises(ValueError, match="101 versions are 2 parts, not 1"):
        snapshot.restored(snapshot.head(state), bodies[:1])
