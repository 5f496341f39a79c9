"""The views of the deployer: given events, then rows."""

from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.deployer.projection import TABLES, project
from shared.events.deployer import Promoted, Retired, RolledBack, TrafficChanged
from shared.events.envelope import Event, Payload
from shared.events.registry import GateChanged, ModelRegistered, ModelVersionRegistered, Rule
from shared.log.memory import MemoryStore
from shared.log.memory_unit import Committed
from shared.log.tables import Row
from tests.unit.deployer.given import AT, SIGNATURE, artifact, deployed, event, traffic

CANARY = traffic(1, (2, 10.0))
NEW = traffic(2, (1, 0.0))
COMMON = {"deployment": "late", "model": "late-flights"}


async def views(*payloads: Payload) -> MemoryStore:
    """The views after these events, each a minute after the other, by a new actor each."""
    store = MemoryStore("deployer", TABLES)
    for place, payload in enumerate(payloads, 1):
        one = replace(event(payload, place, f"actor{place}"), time=AT + timedelta(minutes=place))
        async with store.begin() as unit:
            await unit.apply(project(one))
    return store


async def row(store: MemoryStore) -> Row:
    found = await store.get("deployments", "late")
    assert found is not None
    return found


async def test_a_deployment_is_listed_with_its_champion_since_and_by_whom() -> None:
    found = await row(await views(deployed()))
    assert (found["model"], found["environment"], found["state"]) == ("late-flights", "production", "active")
    assert (found["champion"], found["champion_since"], found["champion_by"]) == (
        1,
        AT + timedelta(minutes=1),
        "actor1",
    )
    assert found["traffic"] == {"champion": 1, "challengers": [], "shadows": [], "sticky_by": None}


async def test_a_change_of_shares_keeps_the_champions_date() -> None:
    found = await row(await views(deployed(), TrafficChanged(**COMMON, before=traffic(1), after=CANARY)))
    assert found["champion_since"] == AT + timedelta(minutes=1)
    assert (found["updated_by"], found["sequence"]) == ("actor2", 2)
    assert found["traffic"]["challengers"] == [{"version": 2, "percent": 10.0}]


async def test_a_promotion_and_a_rollback_each_make_a_champion_anew() -> None:
    changed = TrafficChanged(**COMMON, before=traffic(1), after=CANARY)
    promoted = Promoted(**COMMON, before=CANARY, after=NEW)
    found = await row(await views(deployed(), changed, promoted))
    assert (found["champion"], found["champion_by"]) == (2, "actor3")
    back = RolledBack(**COMMON, before=NEW, after=CANARY)
    found = await row(await views(deployed(), changed, promoted, back))
    assert (found["champion"], found["champion_since"]) == (1, AT + timedelta(minutes=4))


async def test_the_history_tells_each_step() -> None:
    store = await views(
        deployed(),
        TrafficChanged(**COMMON, before=traffic(1), after=CANARY, reason="try"),
        Retired(**COMMON, before=CANARY, reason="done"),
    )
    first, second, third = [await store.get("deployment_history", "late", place) for place in (1, 2, 3)]
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first["type"], first["before"], first["after"]["champion"]) == ("Deployed", None, 1)
    assert (second["reason"], second["actor"], second["event_id"]) == ("try", "actor2", "e2")
    assert (third["type"], third["after"], third["before"]["challengers"][0]["version"]) == ("Retired", None, 2)
    assert (await row(store))["state"] == "retired"


async def test_what_the_registry_says_of_versions_and_gates_is_kept() -> None:
    rule = Rule(rule="quality", passed=False, reason="none")
    gate = GateChanged(model="m", version=1, stage="production", allowed=False, rules=(rule,))
    store = await views(
        ModelRegistered(model="m", owner="ada"),
        ModelVersionRegistered(model="m", version=1, artifact=artifact(1), signature=SIGNATURE),
        gate,
        gate.model_copy(update={"allowed": True, "rules": ()}),
        gate.model_copy(update={"stage": "staging"}),
    )
    assert await store.get("models", "m") == {"model": "m"}
    version = await store.get("model_versions", "m", 1)
    assert version is not None
    assert version["artifact"] == artifact(1).model_dump()
    assert version["signature"] == SIGNATURE.model_dump(mode="json")
    production, staging = [await store.get("gates", "m", 1, stage) for stage in ("production", "staging")]
    assert production is not None
    assert staging is not None
    assert (production["allowed"], production["rules"]) == (True, [])
    assert (staging["allowed"], staging["rules"][0]["rule"]) == (False, "quality")


FACTS: tuple[tuple[str, tuple[Payload, ...]], ...] = (
    (
        "deployment/late",
        (
            deployed(),
            TrafficChanged(**COMMON, before=traffic(1), after=CANARY),
            Promoted(**COMMON, before=CANARY, after=NEW),
            Retired(**COMMON, before=NEW),
        ),
    ),
    (
        "model/m",
        (
            ModelRegistered(model="m", owner="ada"),
            ModelVersionRegistered(model="m", version=1, artifact=artifact(1), signature=SIGNATURE),
            GateChanged(model="m", version=1, stage="production", allowed=False, rules=()),
            GateChanged(model="m", version=1, stage="production", allowed=True, rules=()),
        ),
    ),
)


@settings(deadline=None)
@given(st.permutations([0] * 4 + [1] * 4), st.lists(st.integers(1, 8), max_size=3))
def test_any_order_of_streams_and_any_redelivery_gives_the_same_rows(order: list[int], splits: list[int]) -> None:
    """Each stream keeps its order; a batch may come again at once, as after a crash before its commit was known."""
    streams = [
        [replace(event(payload, place), subject=subject) for place, payload in enumerate(payloads, 1)]
        for subject, payloads in FACTS
    ]
    plain = folded([*streams[0], *streams[1]])
    waiting = [iter(stream) for stream in streams]
    events = [next(waiting[which]) for which in order]
    for split in splits:
        events = events[:split] + events[:split][-1:] + events[split:]
    assert folded(events) == plain


def folded(events: list[Event]) -> dict[str, dict[tuple[Any, ...], Row]]:
    committed = Committed({table.name: table for table in TABLES})
    for change in [change for one in events for change in project(one)]:
        committed.apply(change)
    return {name: dict(rows) for name, rows in committed.rows.items()}
