"""Reading only the newest word of everything answers as reading all that was ever said."""

import asyncio
from collections.abc import Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.api import reader as reading
from services.audit.api.answers import described
from services.audit.api.graph import KINDS
from services.audit.api.reader import Moment, Reader
from services.audit.projection import TABLES, kinds, project
from services.audit.projection.asof import holding, known, word
from services.audit.projection.lineage import said
from services.audit.projection.lineage.edges import kind_of
from shared.events import deployer, registry
from shared.events.codec import decode
from shared.events.envelope import Event, Payload
from shared.log.memory import MemoryStore
from shared.log.tables import Row
from tests.replay.samples import PAYLOADS, sample
from tests.unit.audit.facts import changed, day, deployed, event, stored, traffic

VERSIONS = st.integers(1, 3)


@st.composite
def deployments(draw: st.DrawFn) -> list[Event]:
    """A deployment's stream: each statement recorded after the one before, about any time up to then."""
    events, before = list[Event](), draw(VERSIONS)
    for number in range(1, draw(st.integers(1, 8)) + 1):
        after = draw(VERSIONS)
        payload: Payload = deployed(before) if number == 1 else changed(traffic(before), traffic(after))
        if draw(st.integers(0, 6)) == 0 and number > 1:
            payload = deployer.Retired(deployment="late", model="flights", before=traffic(before))
        elif number > 1:
            before = after
        happened = draw(st.integers(0, number))
        events.append(event(number, payload, "deployment/late", number, happened=happened, recorded=number))
    return events


@st.composite
def models(draw: st.DrawFn) -> list[Event]:
    """A model's stream: aliases move, the owner and the goal are said once or again."""
    places: dict[str, int | None] = {"a": None, "b": None}
    events: list[Event] = []
    for number in range(101, 101 + draw(st.integers(1, 8))):
        alias, to = draw(st.sampled_from(["a", "b"])), draw(st.none() | VERSIONS)
        payload: Payload = registry.AliasMoved(model="flights", alias=alias, before=places[alias], after=to)
        if draw(st.booleans()):
            owner = draw(st.sampled_from(["ana", "dan"]))
            payload = registry.ModelRegistered(model="flights", goal=draw(st.sampled_from(["g", None])), owner=owner)
        else:
            places[alias] = to
        happened, recorded = draw(st.integers(0, 9)), number - 100
        events.append(event(number, payload, "model/flights", number - 100, happened=happened, recorded=recorded))
    return events


TIMES = st.integers(0, 10)
NODES = ("deployment/late", "model/flights", "version/flights@1", "version/flights@2", "actor/ana", "goal/g")


def given_rows(events: list[Event]) -> tuple[MemoryStore, dict[str, list[Row]]]:
    """A store that holds the fold of these events, and its rows."""
    store, rows = MemoryStore("audit", TABLES), dict[str, list[Row]]()
    records = [stored(one, offset=place) for place, one in enumerate(events)]
    changes = [put for record in records for put in project(decode(record), record)]
    for put in changes:
        rows.setdefault(put.table, []).append(put.row)

    async def fill() -> None:
        async with store.begin() as unit:
            await unit.apply(changes)

    asyncio.run(fill())
    return store, rows


def edges(rows: list[Row]) -> set[tuple[Any, ...]]:
    return {(row["src"], row["role"], row["dst"], row["event_id"], str(row["detail"])) for row in rows}


def run(work: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(work)


@given(deployments(), models(), TIMES, TIMES)
@settings(max_examples=50, deadline=None)
def test_the_edges_that_hold_are_those_of_the_whole_history(late, flights, at, known_at):
    store, rows = given_rows([*late, *flights])
    moment = Moment(day(at), day(known_at))
    reader, all_edges = Reader(store, moment, 1_000), holding(rows["edges"], moment.at, moment.known_at)
    found = run(reader.edges_from(NODES))
    assert edges(found) == edges([row for row in all_edges if row["src"] in NODES])
    for node in NODES:
        assert edges(run(reader.edges_to([node]))) == edges([row for row in all_edges if row["dst"] == node])
    assert reader.truncated is False


@given(deployments(), TIMES, TIMES)
@settings(max_examples=50, deadline=None)
def test_a_role_began_with_the_first_that_said_so_since_the_last_that_ended_it(late, at, known_at):
    store, rows = given_rows(late)
    moment = Moment(day(at), day(known_at))
    reader = Reader(store, moment, 1_000)
    held = run(reader.traffic(["deployment/late"]))
    for row, began in zip(held, run(reader.beginnings(held)), strict=True):
        same = [
            fact
            for fact in sorted(known(rows["edges"], moment.at, moment.known_at), key=word)
            if (fact["role"], fact["dst"]) == (row["role"], row["dst"])
        ]
        ends = [word(fact) for fact in same if not fact["present"]]
        after = [fact for fact in same if fact["present"] and (not ends or word(fact) > ends[-1])]
        assert began["event_id"] == after[0]["event_id"]


@given(deployments(), models(), TIMES, TIMES)
@settings(max_examples=30, deadline=None)
def test_what_a_thing_is_follows_from_the_newest_event_of_each_type(late, flights, at, known_at):
    store, rows = given_rows([*late, *flights])
    moment = Moment(day(at), day(known_at))
    about = run(Reader(store, moment, 1_000).about(NODES))
    for node in NODES:
        mine = [row for row in rows["ledger"] if row["node"] == node]
        mine = [row for row in mine if row["time"] <= moment.at and row["recorded"] <= moment.known_at]
        mine.sort(key=lambda row: (row["recorded"], row["sequence"]))
        whole = described(node, mine, mine[0] if mine else None)
        told = about[node]
        assert set(told.pop("events")) <= set(whole.pop("events"))
        assert told == whole


def test_what_one_source_says_over_and_over_hides_no_other(monkeypatch):
    monkeypatch.setattr(reading, "_OF_ONE_SOURCE", 3)
    moves = [event(n, changed(traffic(2), traffic(1)), "deployment/late", n, happened=n) for n in range(1, 9)]
    approval = registry.ApprovalGranted(model="flights", version=1, approval="z", role="risk_manager")
    alias = registry.AliasMoved(model="flights", alias="live", before=None, after=1)
    others = [event(20, approval, "model/flights", 1, happened=1), event(21, alias, "model/flights", 2, happened=1)]
    store, _ = given_rows([*moves, *others])
    found = run(Reader(store, Moment(day(99), day(99)), 100).edges_to(["version/flights@1"]))
    assert {row["src"] for row in found} == {"deployment/late", "approval/z", "model/flights"}


def test_every_kind_of_thing_of_the_language_may_be_asked_about():
    for payload in PAYLOADS:
        node, stated = said(sample(payload))
        assert {kind_of(one) for edge in stated for one in (node, edge.src, edge.dst)} | {kind_of(node)} <= {*KINDS}


def test_every_type_and_scope_of_the_language_is_known_to_the_reader():
    for payload in PAYLOADS:
        node, stated = said(sample(payload))
        if kind_of(node) in kinds.RESTATED:
            assert type(payload).__name__ in kinds.RESTATED[kind_of(node)]
        for edge in stated:
            if edge.scope and kind_of(edge.src) in kinds.SCOPES:
                scopes = kinds.SCOPES[kind_of(edge.src)]
                beginning = kinds.OPEN_SCOPES.get(kind_of(edge.src), "nothing")
                assert edge.scope in scopes or edge.scope.startswith(beginning)
                assert (stated[0].src, stated[0].scope) == (edge.src, edge.scope)  # the first edge stands for the word
            assert edge.scope or kind_of(edge.src) not in kinds.ALWAYS_SCOPED
            if edge.src != node:
                assert kind_of(edge.src) in kinds.STATED_ELSEWHERE
