"""The difference of the estate between two instants in both times: what was added, removed, changed, by which event."""

from asyncio import gather
from collections.abc import Iterable, Mapping
from typing import Any

from services.audit.api.estate import estate
from services.audit.api.moments import lateness
from services.audit.api.reader import Reader
from services.audit.projection.lineage.edges import (
    TRAFFIC,
    version_node,
)
from shared.log.tables import Each, Query, Row

Facets = dict[str, tuple[Any, str | None]]
"""What can differ about a deployment → its value and the event that says so (None: no one event does)."""

_PLAIN = ("environment", "runtime", "goal", "model")


async def difference(before: Reader, after: Reader) -> dict[str, Any]:
    """`added`, `removed` and `changed` deployments from the moment of one reader to that of the other."""
    old, new = await gather(estate(before), estate(after))
    was, now = {item["deployment"]: item for item in old}, {item["deployment"]: item for item in new}
    gone = [item for name, item in was.items() if name not in now]
    kept = [(was[name], now[name]) for name in was if name in now]
    ended = await _ended(after, [*gone, *(one for one, _ in kept)])
    added = [{**item, **_of(item["champion"])} for name, item in now.items() if name not in was]
    removed = [{**item, "by_event": ended.get(_named(item, "champion", item["version"]))} for item in gone]
    changed = [
        {"deployment": one["deployment"], "changes": changes}
        for one, other in kept
        if (changes := _changes(one, other, ended))
    ]
    told = await _stated(after, [*added, *removed, *(change for one in changed for change in one["changes"])])
    for change in [*added, *removed, *(change for one in changed for change in one["changes"])]:
        change["stated"] = told.get(change.pop("by_event") or "")
    return {"added": added, "removed": removed, "changed": changed}


def _of(champion: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"by_event": champion["event_id"] if champion else None}


def facets(item: Mapping[str, Any]) -> Facets:
    """All that can differ about a deployment of an estate."""
    found: Facets = {name: (item[name], None) for name in _PLAIN}
    roles = [("champion", one) for one in [item["champion"]] if one]
    roles += [("challenger", one) for one in item["challengers"]] + [("shadow", one) for one in item["shadows"]]
    for role, one in roles:
        if role == "champion":
            found["champion"] = (one["version"], one["event_id"])
        else:
            found[f"{role} {one['version']}"] = (
                "asked" if role == "shadow" else one["percent"],
                one["newest_event_id"],
            )
        for stage, gate in one["gate"].items():
            state = "open" if gate["allowed"] else "closed"
            found[f"gate:{stage} of version {one['version']}"] = (state, gate["event_id"])
        for approval in one["approvals"]:
            name = f"approval by {approval['by']} as {approval['role']} of version {one['version']}"
            found[name] = (approval["decision"], approval["event_id"])
    return found


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], ended: Mapping[tuple[str, str, str], str]
) -> list[dict[str, Any]]:
    old, new = facets(before), facets(after)
    newest = after["champion"]["newest_event_id"] if after["champion"] else None  # the word that no longer names it
    found: list[dict[str, Any]] = []
    for what in dict.fromkeys([*old, *new]):
        was, now = old.get(what, (None, None)), new.get(what, (None, None))
        if was[0] != now[0]:
            role, _, version = what.partition(" ")
            event = now[1] if what in new else ended.get(_named(before, role, version)) or newest
            found.append({"what": what, "from": was[0], "to": now[0], "by_event": event})
    return found


def _named(item: Mapping[str, Any], role: str, version: Any) -> tuple[str, str, str]:
    return f"deployment/{item['deployment']}", role, version_node(item["model"], version)


async def _ended(reader: Reader, items: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str, str], str]:
    """(deployment, role, version) of everybody who took part → the event that said last that it had ended."""
    names: list[tuple[str, str, str]] = []
    for item in items:
        parts = [("champion", item["champion"]), *(("challenger", one) for one in item["challengers"])]
        parts += [("shadow", one) for one in item["shadows"]]
        names += [_named(item, role, one["version"]) for role, one in parts if one]
    return {(row["src"], row["role"], row["dst"]): row["event_id"] for row in await reader.ended(TRAFFIC, names)}


async def _stated(reader: Reader, changes: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Event → who stated it, when it happened and when it was recorded."""
    ids = sorted({change["by_event"] for change in changes if change["by_event"]})
    each = Each((("event_id", "="),), tuple((one,) for one in ids))
    columns = ("event_id", "type", "actor", "time", "recorded")
    rows: list[Row] = await reader.store.find(Query("ledger", limit=1, columns=columns, each=each)) if ids else []
    return {row["event_id"]: {**row, **lateness(row["time"], row["recorded"])} for row in rows}
