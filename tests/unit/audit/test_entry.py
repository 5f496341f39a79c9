"""The canonical bytes of an entry and their leaf hash."""

from hashlib import sha256

import orjson
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.audit.projection.entry import entry, entry_of_any, leaf_hash
from shared.events import registry
from shared.events.codec import structured
from tests.unit.audit.facts import event, logged, predictions, stored

EXACT = 2**53 - 1
NUMBERS = st.integers(-EXACT, EXACT) | st.floats(allow_nan=False, allow_infinity=False)


@given(st.dictionaries(st.text(), NUMBERS | st.text(), max_size=4))
@settings(deadline=None)
def test_an_entry_is_canonical(words):
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


def read(made, record):
    """The bytes, or that there are none."""
    try:
        return made(record)
    except (ValueError, TypeError):
        return None


@given(st.data())
@settings(deadline=None)
def test_an_entry_has_the_same_bytes_whether_its_headers_are_usual_or_not(data):
    record = stored(event(1, registry.GoalStated(goal="g", question="?", owner="a"), "goal/g", 1, happened=1))
    texts = st.text('aZ7é"\\\x00\x1f\x7f \u2028\U0001f600%', max_size=3).map(str.encode)
    numbers = st.sampled_from([b"0", b"7", b"07", b"-1", b" 1", b"1_0", b"", "٣".encode()])
    headers = [(name, data.draw(numbers if name == "ce_sequence" else texts)) for name, _ in record.headers]
    more = st.lists(st.sampled_from(["ce_causationid", "ce_actor", "ce_data", "ce_more", "traceparent"]), max_size=2)
    headers += [(name, data.draw(texts)) for name in data.draw(more)]
    odd = replace(record, headers=tuple(data.draw(st.permutations(headers))))
    assert read(entry, odd) == read(entry_of_any, odd)
    for changed in headers:
        usual = tuple(changed if name == changed[0] else (name, value) for name, value in record.headers)
        assert read(entry, replace(record, headers=usual)) == read(entry_of_any, replace(record, headers=usual))


def test_the_data_of_an_entry_are_the_bytes_that_the_log_holds():
    goal = event(1, registry.GoalStated(goal="warn", question="?", owner="ana"), "goal/warn", 1, happened=1)
    record = replace(stored(goal), value=b'{"owner":"ana", "goal":"warn","question":"?","decision":""}')
    assert record.value in entry(record)
    assert orjson.loads(entry(record))["data"] == orjson.loads(record.value)


def test_an_entry_is_the_structured_cloudevent():
    goal = event(1, registry.GoalStated(goal="warn", question="spät?", owner="ana"), "goal/warn", 1, happened=1)
    assert orjson.loads(entry(stored(goal))) == structured(goal)


def test_the_entry_of_a_batch_binds_the_bytes_of_its_rows():
    batch = event(1, logged(), "batch/1", 0, happened=5, table=predictions())
    assert batch.table is not None
    assert orjson.loads(entry(stored(batch)))["tablesha256"] == sha256(batch.table).hexdigest()


def test_a_leaf_cannot_be_taken_for_an_inner_node():
    assert leaf_hash(b"x") == sha256(b"\x00x").digest()
