"""What is known of data sets, jobs and runs, for any order and repetition of what was reported."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.registry.domain import openlineage
from services.registry.domain.lineage_facts import dataset, registry_name, run
from services.registry.domain.lineage_known import Known, Thing, added, facet, told_by
from services.registry.domain.names import NAME
from shared.events.envelope import Event
from shared.events.refusal import Refused
from shared.events.registry import LineageReported

RUN = "01890a5d-ac96-774b-bcce-b302099a8057"
AT = datetime(2013, 4, 1, 12, tzinfo=UTC)


def body(state: str, seconds: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "eventType": state,
        "eventTime": (AT + timedelta(seconds=seconds)).isoformat(),
        "producer": "x:y",
        "schemaURL": "x:y",
        "run": {"runId": RUN},
        "job": {"namespace": "n", "name": "j"},
        **more,
    }


def data(name: str, **facets: Any) -> dict[str, Any]:
    return {"namespace": "n", "name": name, "facets": facets}


def known(*bodies: dict[str, Any]) -> dict[Thing, Known]:
    found: dict[Thing, Known] = {}
    for one in bodies:
        for thing, said in told_by(*openlineage.read(one)).items():
            found[thing] = added(found.get(thing, {}), said)
    return found


EVENTS = [
    body("START", 0, inputs=[data("a", documentation={"description": "old"})]),
    body("RUNNING", 5, inputs=[data("b")]),
    body("FAIL", 9, outputs=[data("c", version={"datasetVersion": "1"})]),
    body("COMPLETE", 10, outputs=[data("c", version={"datasetVersion": "2"})]),
    body("OTHER", 11, inputs=[data("a", documentation={"description": "new"})]),
    body("OTHER", 11, inputs=[data("a", documentation={"description": "also new"})]),
    body("OTHER", 12, outputs=[data("c", version={"_deleted": True, "datasetVersion": "9"})]),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=20).flatmap(lambda more: st.permutations([*EVENTS, *more])))
def test_any_order_and_repetition_is_known_the_same(events: list[dict[str, Any]]) -> None:
    assert known(*events) == known(*EVENTS)


def test_what_is_known_is_the_newest_of_each_facet_and_the_sum_of_links() -> None:
    found = known(*EVENTS)
    of_run = found["run", "n", RUN]
    assert (of_run["inputs"], of_run["outputs"]) == ([["n", "a"], ["n", "b"]], [["n", "c"]])
    assert (of_run["started"][:19], of_run["ended"][1]) == ("2013-04-01T12:00:00", "succeeded")
    assert facet(found["dataset", "n", "a"], "documentation") == {"description": "new"}
    assert facet(found["dataset", "n", "c"], "version") == {}
    stated = run(RUN, of_run, found["job", "n", "j"], {registry_name("n", "a"): 3}, None)
    assert [(ref.dataset, ref.version) for ref in stated.inputs] == [(registry_name("n", "a"), 3)]
    again = run(RUN, of_run, found["job", "n", "j"], {registry_name("n", "a"): 4}, stated)
    assert again == stated


def seen(known: openlineage.Known, report: LineageReported) -> openlineage.Known:
    return openlineage.evolve(known, Event("e", "/x", "lineage/job/n/j/h", AT, 1, "airflow", report))


def test_of_so_many_events_the_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(openlineage, "MAX_SEEN", 2)
    report, _ = openlineage.read(EVENTS[0])
    several = [report.model_copy(update={"digest": digest}) for digest in "abac"]
    known = openlineage.initial
    for one in several:
        known = seen(known, one)
    assert (sorted(known.digests), len(known.order)) == (["b", "c"], 2)


def test_an_event_that_comes_again_says_nothing() -> None:
    first, at = openlineage.read(EVENTS[0])
    same, _ = openlineage.read({name: EVENTS[0][name] for name in reversed(EVENTS[0])})
    assert same.digest == first.digest
    assert openlineage.decide(openlineage.initial, openlineage.Report((first, same))) == [first]
    assert openlineage.decide(seen(openlineage.initial, first), openlineage.Report((same,))) == []
    assert openlineage.subject_of(first, at) == "lineage/job/n/j/2013-04-01T12"


def test_names_are_the_registrys_own_or_readable_and_apart() -> None:
    assert registry_name("muniment", "flights") == "flights"
    names = {registry_name(*one) for one in (("a.b", "c"), ("a", "b.c"), ("a/b", "c"), ("muniment", "a b"), ("", "."))}
    assert len(names) == 5
    assert all(NAME.fullmatch(name) for name in (*names, registry_name("s3://bucket", "x/" * 300)))


@pytest.mark.parametrize(
    "wild",
    [
        {"schema": {"fields": "none"}, "columnLineage": {"fields": [1]}, "documentation": {"description": 3}},
        {"schema": {"fields": [{"name": None}, 7, {"name": "x", "type": {}, "fields": [{"name": "y"}]}]}},
        {"dataQualityMetrics": {"rowCount": "many", "columnMetrics": {"x": {"min": "low", "quantiles": []}}}},
        {"outputStatistics": {"rowCount": -1, "size": 2.5}, "version": {"datasetVersion": 7}, "dataSource": {"uri": 1}},
    ],
)
def test_facets_of_any_shape_are_read_as_far_as_they_make_sense(wild: dict[str, Any]) -> None:
    found = known(body("START", inputs=[data("a", **wild)]))
    facts = dataset("n", "a", found["dataset", "n", "a"])
    assert facts.said["uri"] == "n/a"
    assert facts.said.keys() <= {"uri", "columns"}


def test_what_no_event_can_keep_is_refused() -> None:
    deep: Any = 1
    for _ in range(60):
        deep = {"x": deep}
    for wrong in (2**63, deep):
        with pytest.raises(Refused) as refused:
            openlineage.read(body("START", more=wrong))
        assert refused.value.code == "not-plain"
    fine, _ = openlineage.read(body("START", more=2**40))
    assert isinstance(fine, LineageReported)


@pytest.mark.parametrize("moment", ["20130401", "2013", "1364774400", "soon"])
def test_a_number_is_no_time(moment: str) -> None:
    with pytest.raises(Refused) as refused:
        openlineage.read(body("START") | {"eventTime": moment})
    assert "no time by RFC 3339" in refused.value.detail
