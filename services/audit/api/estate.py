"""The estate: every deployment live at a moment, who takes part in its traffic, and on whose word."""

from collections.abc import Iterable
from typing import Any

from services.audit.api.reader import Reader
from services.audit.projection.asof import holding, since
from shared.log.tables import Query, Row, cursor_of, equal

PAGE = 1_000


async def estate(reader: Reader) -> list[dict[str, Any]]:
    """Each live deployment: champion, challengers, shadows, model, goal, and per version its approvals and gates."""
    deployments = await _ever_deployed(reader)
    facts = await reader.traffic(deployments)
    live: dict[str, list[Row]] = {}
    for row in holding(facts, reader.moment.at, reader.moment.known_at):
        live.setdefault(row["src"], []).append(row)
    versions = await version_facts(reader, {row["dst"] for rows in live.values() for row in rows})
    about = await reader.about(sorted(live))
    models = {node: f"model/{about[node]['attributes'].get('model')}" for node in live}
    goals = await goals_of(reader, set(models.values()))
    actors = await _actors(reader, facts)
    items: list[dict[str, Any]] = []
    for node in sorted(live):
        attributes = about[node]["attributes"]
        items.append(
            {
                "deployment": about[node]["id"],
                "model": attributes.get("model"),
                "environment": attributes.get("environment"),
                "runtime": attributes.get("runtime"),
                "goal": goals.get(models[node]),
                **take_part(reader, live[node], facts, versions, actors),
            }
        )
    return items


def take_part(
    reader: Reader, rows: Iterable[Row], facts: list[Row], versions: dict[str, dict[str, Any]], actors: dict[str, str]
) -> dict[str, Any]:
    """Champion, challengers and shadows of one deployment, each with since when and by whom."""
    roles: dict[str, list[dict[str, Any]]] = {"champion": [], "challenger": [], "shadow": []}
    for row in rows:
        start = since(facts, row, reader.moment.at, reader.moment.known_at)
        detail: dict[str, Any] = row["detail"] or {}
        entry: dict[str, Any] = {
            "version": int(row["dst"].rpartition("@")[2]),
            "percent": detail.get("percent"),
            "since": start["valid_at"],
            "known_since": start["known_at"],
            "deployed_by": actors.get(start["event_id"]),
            "event_id": start["event_id"],
            **versions.get(row["dst"], {}),
        }
        roles[row["role"]].append(entry)
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
    edges = [row for row in await reader.edges_to(versions) if row["role"] in ("approval", "gate")]
    events = await reader.events_about({row["src"] for row in edges})
    about = await reader.about({row["src"] for row in edges})
    found: dict[str, dict[str, Any]] = {version: {"approvals": [], "gate": {}} for version in versions}
    seen: set[tuple[str, str]] = set()
    for row in edges:
        if (row["src"], row["dst"]) in seen or row["src"] not in events:
            continue
        seen.add((row["src"], row["dst"]))
        node = about[row["src"]]
        if row["role"] == "gate":
            found[row["dst"]]["gate"][node["attributes"]["stage"]] = {
                "allowed": node["attributes"]["allowed"],
                "rules": node["attributes"]["rules"],
                "since": events[row["src"]][-1]["time"],
                "event_id": events[row["src"]][-1]["event_id"],
            }
        else:
            found[row["dst"]]["approvals"].append(approval_answer(node, events[row["src"]][0]["type"]))
    return found


def approval_answer(node: dict[str, Any], event_type: str) -> dict[str, Any]:
    """An approval: who said what, when, and when it was recorded."""
    attributes = node["attributes"]
    return {
        "id": node["id"],
        "decision": "approve" if event_type == "ApprovalGranted" else "reject",
        "by": node["stated_by"],
        "role": attributes["role"],
        "comment": attributes["comment"],
        "conditions": attributes.get("conditions", []),
        "time": node["time"],
        "recorded": node["recorded"],
    }


async def goals_of(reader: Reader, models: set[str]) -> dict[str, str]:
    """Model node → the name of the goal it serves."""
    edges = await reader.edges_from(models)
    return {row["src"]: row["dst"].partition("/")[2] for row in edges if row["role"] == "goal"}


async def _ever_deployed(reader: Reader) -> set[str]:
    table = reader.store.tables["ledger"]
    query = Query("ledger", (*equal(type="Deployed"), *reader.moment.events), ("time",), PAGE)
    nodes: set[str] = set()
    while True:
        rows = await reader.store.find(query)
        nodes |= {row["node"] for row in rows}
        if len(rows) < PAGE:
            return nodes
        query = Query(query.table, query.where, query.order, PAGE, cursor_of(table, query, rows[-1]))


async def _actors(reader: Reader, facts: list[Row]) -> dict[str, str]:
    events = await reader.events_about({row["src"] for row in facts})
    return {row["event_id"]: row["actor"] for rows in events.values() for row in rows}
