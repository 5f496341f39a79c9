"""What an event changed, as from and to: who came, who went, who moved. Pure."""

from collections.abc import Mapping
from typing import Any

Json = Mapping[str, Any]
Change = dict[str, Any]
"""`what` (champion, challenger 2, shadow 3, alias:live, gate:production, …) with `from` and `to`, null for nothing."""


def changes_of(type_name: str, data: Json) -> list[Change]:
    """The changes that one event states; [] where it states none."""
    match type_name:
        case "Deployed":
            return _traffic({}, data["traffic"])
        case "TrafficChanged" | "Promoted" | "RolledBack":
            return _traffic(data["before"], data["after"])
        case "Retired":
            return _traffic(data["before"], {})
        case "AliasMoved":
            return [_change(f"alias:{data['alias']}", data["before"], data["after"])]
        case "GateChanged":
            return [{"what": f"gate:{data['stage']}", "from": None, "to": "open" if data["allowed"] else "closed"}]
        case "FlagTriaged":
            return [_change("assignee", None, data["assignee"])]
        case "FlagResolved":
            return [_change("resolution", None, data["resolution"])]
        case _:
            return []


def _traffic(before: Json, after: Json) -> list[Change]:
    old, new = _roles(before), _roles(after)
    names = list(dict.fromkeys([*old, *new]))
    return [_change(name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]


def _roles(traffic: Json) -> dict[str, Any]:
    """The champion's version, and the share of every challenger and shadow."""
    if not traffic:
        return {}
    roles: dict[str, Any] = {"champion": traffic["champion"]}
    roles |= {f"challenger {share['version']}": share["percent"] for share in traffic.get("challengers", ())}
    return roles | {f"shadow {version}": "asked" for version in traffic.get("shadows", ())}


def _change(what: str, before: Any, after: Any) -> Change:
    return {"what": what, "from": before, "to": after}
