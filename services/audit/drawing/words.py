"""What a node of a lineage graph says on its card: a title, a second line, and the colour of its family."""

from collections.abc import Callable
from typing import Any

Node = dict[str, Any]
Card = tuple[str, str]
"""Title and second line."""

FAMILIES: dict[str, tuple[str, ...]] = {
    "purpose": ("goal", "kpi", "decision"),
    "data": ("dataset", "pipeline", "run", "column"),
    "model": ("model", "version"),
    "control": (
        *(
            "approval",
            "checkpoint",
            "evidence",
            "exception",
            "gate",
            "key",
            "policy",
            "proposal",
            "report",
            "verification",
        ),
    ),
    "use": ("batch", "deployment", "experiment", "joined", "outcome", "prediction", "retention", "window"),
    "alarm": ("alert", "alert-route", "breach", "drift", "flag", "webhook"),
    "people": ("actor", "subject"),
}
FAMILY = {kind: family for family, kinds in FAMILIES.items() for kind in kinds}
_UUID = 36


def family(kind: str) -> str:
    return FAMILY.get(kind, "use")


def card(node: Node) -> Card:
    """The two lines of a node's card; a node that nothing is said about (yet) bears its name only."""
    attributes: dict[str, Any] = node["attributes"]
    write = _CARDS.get(node["kind"])
    if write is None or not attributes:
        return _short(node["id"]), ""
    return write(node["id"], attributes)


def _short(name: str) -> str:
    """Names made of event ids by their last digits, which differ."""
    return f"…{name[_UUID - 8 :]}" if len(name) >= _UUID and name.count("-") >= 4 else name


def _time(moment: Any) -> str:
    return str(moment)[:16].replace("T", " ")


def _first(attributes: dict[str, Any], *names: str) -> str:
    return next((str(attributes[name]) for name in names if attributes.get(name)), "")


def _kpi(name: str, said: dict[str, Any]) -> Card:
    target = said.get("target")
    return name, f"target {target:g} {said['unit']}" if target is not None else str(said.get("unit", ""))


def _dataset(name: str, said: dict[str, Any]) -> Card:
    return name, f"{said['rows']:,} rows" if said.get("rows") else _first(said, "description", "uri")


def _version(name: str, said: dict[str, Any]) -> Card:
    model, _, number = name.rpartition("@")
    return f"{model} version {number}", _first(said, "framework", "description")


def _evidence(name: str, said: dict[str, Any]) -> Card:
    return str(said["name"]), f"{said['kind']}: {'passed' if said['passed'] else 'failed'}"


def _approval(name: str, said: dict[str, Any]) -> Card:
    return "approved" if "conditions" in said else "rejected", str(said["role"]).replace("_", " ")


def _gate(name: str, said: dict[str, Any]) -> Card:
    return f"{said['stage']}: {'open' if said['allowed'] else 'closed'}", f"{said['model']} version {said['version']}"


def _batch(name: str, said: dict[str, Any]) -> Card:
    return f"{said['rows']:,} predictions", _time(said["start"])


def _joined(name: str, said: dict[str, Any]) -> Card:
    return f"{said['rows']:,} outcomes joined", f"{said['model']} version {said['version']}"


def _window(name: str, said: dict[str, Any]) -> Card:
    return _time(said["window_start"]), f"{said['predictions']:,} predictions, {said['outcomes']:,} outcomes"


def _drift(name: str, said: dict[str, Any]) -> Card:
    return str(said["feature"]), f"{said['statistic']} {said['value']:.3g} over {said['threshold']:g}"


def _flag(name: str, said: dict[str, Any]) -> Card:
    answer = str(said.get("resolution") or said.get("severity") or "")
    return str(said.get("category", _short(name))), answer.replace("_", " ")


def _breach(name: str, said: dict[str, Any]) -> Card:
    return _first(said, "kpi", "check", "open_flags") or _short(name), _time(said.get("window_start", ""))


def _prediction(name: str, said: dict[str, Any]) -> Card:
    figures = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in said.values())
    return _short(name), ", ".join(f"{key} {figure}" for key, figure in zip(said, figures, strict=True))


def said_of_flag(type_name: str, data: dict[str, Any]) -> str:
    """What an event about a flag says, in words."""
    match type_name:
        case "FeedbackFlagged":
            expected = f", expected {data['expected']}" if data.get("expected") is not None else ""
            return f"flagged as {data['category'].replace('_', ' ')}{expected}"
        case "PredictionsFlagged":
            return f"flagged as {data['category'].replace('_', ' ')}, {data['total']:,} predictions so far"
        case "FlagMerged":
            return f"said the same as flag {data['into']}, and is answered with it"
        case "FlagLapsed":
            return "its prediction did not come in the stated time"
        case "FlagLinkUsed":
            return f"raised through a link that {data['issuer']} gave out"
        case "FlagTriaged":
            return f"given to {data['assignee']}, severity {data['severity']}"
        case "FlagResolved":
            return f"resolved: {data['resolution'].replace('_', ' ')}"
        case "FlagLocated":
            return "its prediction was found in the log"
        case _:
            return "commented"


_CARDS: dict[str, Callable[[str, dict[str, Any]], Card]] = {
    "goal": lambda name, said: (name, str(said["question"])),
    "kpi": _kpi,
    "dataset": _dataset,
    "column": lambda name, said: (str(said["name"]), f"{said['dataset']} version {said['version']}"),
    "pipeline": lambda name, said: (name, _first(said, "technique", "description")),
    "run": lambda name, said: (name, str(said["state"])),
    "model": lambda name, said: (name, _first(said, "technique", "description")),
    "version": _version,
    "evidence": _evidence,
    "approval": _approval,
    "gate": _gate,
    "deployment": lambda name, said: (name, _first(said, "environment", "model")),
    "batch": _batch,
    "joined": _joined,
    "outcome": lambda name, said: (f"{said['rows']:,} outcomes told", ""),
    "window": _window,
    "drift": _drift,
    "flag": _flag,
    "breach": _breach,
    "prediction": _prediction,
    "experiment": lambda name, said: (name.rpartition("/")[2], _first(said, "verdict", "hypothesis")),
    "alert": lambda name, said: (str(said["kind"]), _first(said, "summary")),
    "report": lambda name, said: (_short(name), _first(said, "model")),
}
