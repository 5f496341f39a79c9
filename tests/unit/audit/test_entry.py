"""The canonical bytes of an entry and their leaf hash."""

from hashlib import sha256

import orjson
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from services.audit.projection.entry import canonical, entry, leaf_hash
from shared.events import registry
from shared.events.codec import structured
from tests.unit.audit.facts import event, logged, predictions, stored

EXACT = 2**53 - 1
NUMBERS = st.integers(-EXACT, EXACT) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_canonical_bytes_are_those_of_rfc_8785(value):
    assert canonical(value) == rfc8785.dumps(value)


@given(st.dictionaries(st.text(), NUMBERS | st.text(), max_size=4))
def test_the_short_way_for_simple_events_gives_the_same_bytes(words):
    goal = registry.PipelineRunRecorded(
        pipeline="p", run="r", state="running", started_at=event(1, logged(), "s", 1, happened=1).time, parameters=words
    )
    record = stored(event(1, goal, "pipeline/p", 1, happened=1))
    assert entry(record) == rfc8785.dumps(_exact(orjson.loads(entry(record))))
    assert orjson.loads(entry(record))["data"]["parameters"].keys() == words.keys()


def _exact(value):
    """JSON data as rfc8785 takes it: whole doubles beyond 2^53 are doubles, not integers."""
    if isinstance(value, dict):
        return {name: _exact(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_exact(item) for item in value]
    return float(value) if isinstance(value, int) and abs(value) > EXACT else value


def test_integers_that_no_double_holds_exactly_are_written_as_the_double():
    assert canonical({"a": 2**60}) == b'{"a":1152921504606847000}'


def test_an_entry_is_the_structured_cloudevent():
    goal = event(1, registry.GoalStated(goal="warn", question="spät?", owner="ana"), "goal/warn", 1, happened=1)
    assert orjson.loads(entry(stored(goal))) == structured(goal)


def test_the_entry_of_a_batch_binds_the_bytes_of_its_rows():
    batch = event(1, logged(), "batch/1", 0, happened=5, table=predictions())
    assert batch.table is not None
    assert orjson.loads(entry(stored(batch)))["tablesha256"] == sha256(batch.table).hexdigest()


def test_a_leaf_cannot_be_taken_for_an_inner_node():
    assert leaf_hash(b"x") == sha256(b"\x00x").digest()
