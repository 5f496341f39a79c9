"""The estate: every deployment live at a moment, who takes part in its traffic, and on whose word."""

from asyncio import gather
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from services.audit.api.answers import data_of
from services.audit.api.moments import lateness
from services.audit.api.reader import Reader
from services.audit.projection.lineage.edges import (
    DEFINITION,
)
from shared.events.registry import Stage
from shared.log.tables import Query, Row, Where, cursor_of, enough, equal

PAGE = 1_000
STAGES: tuple[str, ...] = get_args(Stage)


async def estate(reader: Reader) -> list[dict[str, Any]]:
    """Each live deployment: champion, challengers, shadows, model, goal, and per version its approvals and gates."""
    rows = await reader.traffic(await _ever_deployed(reader))
    live = sorted({row["src"] for row in rows})
    versions, deployed, taking = await gather(
        version_facts(reader, {row["dst"] for row in rows}),
        reader.newest_of([(node, "Deployed") for node in live]),
        participants(reader, rows),
    )
    about = {node: data_of(found[-1]) for node, found in deployed.items()}
    models = {node: f"model/{about[node]['model']}" for node in live}
    goals = await goals_of(reader, set(models.values()))
    return [
        {
            "deployment": node.partition("/")[2],
            "model": about[node]["model"],
            "environment": about[node]["environment"],
            "runtime": about[node]["runtime"],
            "goal": goals.get(models[node]),
            **take_part(taking.get(node, []), versions),
        }
        for node in live
    ]


@dataclass(frozen=True, slots=True)
class Participant:
    """An edge of traffic that holds, the row with which it began, and who stated that."""

    row: Row
    began: Row
    actor: str | None


async def participants(reader: Reader, rows: Sequence[Row]) -> dict[str, list[Participant]]:
    """Deployment node → who takes part in its traffic, of the edges that hold."""
    began = await reader.beginnings(rows)
    ids = sorted({row["event_id"] for row in began})
    query = Query("ledger", (Where("event_id", "in", ids),), limit=enough(len(ids)), columns=("event_id", "actor"))
    actors = {row["event_id"]: row["actor"] for row in await reader.store.find(query)} if ids else {}
    found: dict[str, list[Participant]] = {}
    for row, start in zip(rows, began, strict=True):
        found.setdefault(row["src"], []).append(Participant(row, start, actors.get(start["event_id"])))
    return found


def take_part(taking: Iterable[Participant], versions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Champion, challengers and shadows of one deployment, each with since when and by whom."""
    roles: dict[str, list[dict[str, Any]]] = {"champion": [], "challenger": [], "shadow": []}
    for one in taking:
        detail: dict[str, Any] = one.row["detail"] or {}
        entry: dict[str, Any] = {
            "version": int(one.row["dst"].rpartition("@")[2]),
            "percent": detail.get("percent"),
            "since": one.began["valid_at"],
            "known_since": one.began["known_at"],
            **lateness(one.began["valid_at"], one.began["known_at"]),
            "deployed_by": one.actor,
            "event_id": one.began["event_id"],
            "newest_event_id": one.row["event_id"],
            **versions.get(one.row["dst"], {}),
        }
        roles[one.row["role"]].append(entry)
    champion = roles["champion"][0] if roles["champion"] else None
    return {
        "version": champion["version"] if champion else None,
        "since": champion["since"] if champion else None,
        "deployed_by": champion["deployed_by"] if champion else None,
        "champion": champion,
        "challengers": roles["challenger"],
        "shadows": roles["shadow"],
    }


async def version_facts(reader: Reader, versions: set[str]) -> dict[str, dict[str, Any]]:
    """Version node → the approvals and gate states it had."""
    gates, edges = await gather(gates_of(reader, versions), reader.edges_to(versions, source="approval/"))
    approvals = await reader.events_about({row["src"] for row in edges})
    found: dict[str, dict[str, Any]] = {version: {"approvals": [], "gate": gates[version]} for version in versions}
    for row in edges:
        for event in approvals.get(row["src"], [])[:1]:
            found[row["dst"]]["approvals"].append(approval_answer(event))
    return found


async def gates_of(reader: Reader, versions: set[str]) -> dict[str, dict[str, Any]]:
    """Version node → stage → the state that its gate had."""
    gates = {f"gate/{version.partition('/')[2]}/{stage}": version for version in versions for stage in STAGES}
    stated = await reader.newest_of([(node, "GateChanged") for node in gates])
    found: dict[str, dict[str, Any]] = {version: {} for version in versions}
    for node, rows in stated.items():
        attributes = data_of(rows[-1])
        found[gates[node]][attributes["stage"]] = {
            "allowed": attributes["allowed"],
            "rules": attributes["rules"],
            "since": rows[-1]["time"],
            "event_id": rows[-1]["event_id"],
        }
    return found


def approval_answer(event: Row) -> dict[str, Any]:
    """An approval: who said what, when, and when it was recorded."""
    data = data_of(event)
    return {
        "id": data["approval"],
        "decision": "approve" if event["type"] == "ApprovalGranted" else "reject",
        "by": event["actor"],
        "role": data["role"],
        "comment": data["comment"],
        "conditions": data.get("conditions", []),
        "time": event["time"],
        "recorded": event["recorded"],
        **lateness(event["time"], event["recorded"]),
        "event_id": event["event_id"],
    }


async def goals_of(reader: Reader, models: set[str]) -> dict[str, str]:
    """Model node → the name of the goal it serves."""
    edges = await reader.said_of(models, DEFINITION)
    return {row["src"]: row["dst"].partition("/")[2] for row in edges if row["role"] == "goal"}


async def _ever_deployed(reader: Reader) -> set[str]:
    table = reader.store.tables["ledger"]
    columns = ("event_id", "node", "time")
    query = Query("ledger", (*equal(type="Deployed"), *reader.moment.events), ("time",), PAGE, columns=columns)
    nodes: set[str] = set()
    while True:
        rows = await reader.store.find(query)
        nodes |= {row["node"] for row in rows}
        if len(rows) < PAGE:
            return nodes
        query = replace(query, after=cursor_of(table, query, rows[-1]))
