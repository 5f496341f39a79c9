"""One prediction, told with everything that stood behind it."""

from asyncio import gather
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from services.audit.api.answers import data_of
from services.audit.api.estate import (
    Participant,
    gates_of,
    goals_of,
    participants,
    take_part,
    version_facts,
)
from services.audit.api.flagged import many_with
from services.audit.api.graph import link
from services.audit.api.locating import Located, table_of
from services.audit.api.moments import lateness
from services.audit.api.reader import EVENT_COLUMNS, Reader
from services.audit.projection.lineage.edges import (
    INFLUENCED,
    USED,
    version_node,
)
from shared.events import batches
from shared.log.log import EventLog
from shared.log.tables import Query, Row, Where, equal

Json = dict[str, Any]

MAX_POLICIES = 200
"""Adoptions of policies looked through for those in force."""

MAX_MANY = 200
"""Flags on many predictions of one batch that are looked through for one of them."""

MAX_JOINED = 200
"""Batches of joined outcomes looked through for one prediction."""

_PLACE = ("topic", "partition", "offset")


async def story(log: EventLog, reader: Reader, found: Located) -> dict[str, Any]:
    """Everything behind one prediction, in the words of those who ask: what it said, who let it speak, what came true.

    The prediction's `fallback` is `constant` where its version failed and the deployment's constant answered.
    `traffic` and `gate` are those at the prediction's own time; where nothing had been said about that time (a year
    played afterwards), those at the time asked about, and `as_of` tells which.
    """
    data = data_of(found.batch)
    version, deployment = version_node(data["model"], data["version"]), f"deployment/{data['deployment']}"
    model = f"model/{data['model']}"
    then = reader.at(min(found.at, reader.moment.at))
    (about, evidence, allowed, flags), (goal, provenance, came_true, policies, personal, trials) = await gather(
        gather(
            reader.about([version, model, deployment]),
            _evidence(reader, version),
            _allowed(reader, then, found, version, deployment),
            _flags(log, reader, found),
        ),
        gather(
            _goal(reader, model),
            _provenance(reader, version),
            outcome(log, reader, found),
            _policies(reader, then),
            _personal(reader, found),
            _experiments(reader, found, version, data["deployment"]),
        ),
    )
    return {
        "prediction": {**_prediction(found, data), "personal": personal},
        "deployment": about[deployment],
        "model": about[model],
        "version": about[version],
        "code": about[version]["attributes"].get("code"),
        **goal,
        **provenance,
        "evidence": evidence,
        **allowed,
        "policy": policies,
        "experiments": trials,
        "flags": flags,
        "outcome": came_true,
    }


def _prediction(found: Located, data: dict[str, Any]) -> dict[str, Any]:
    values = found.values
    own = values.get("prediction_id")
    return {
        "id": own or found.node.partition("/")[2],
        "batch": found.batch["event_id"],
        "row": found.row,
        "at": found.at,
        "recorded": found.batch["recorded"],
        **lateness(found.at, found.batch["recorded"]),
        "actor": found.batch["actor"],
        **{name: data[name] for name in ("deployment", "model", "version")},
        "fallback": data.get("fallback", ""),  # batches of before do not say it
        "entity": values.get("entity"),
        "segment": values.get("segment"),
        "features": batches.group(values, batches.FEATURE),
        "outputs": batches.group(values, batches.OUTPUT),
    }


async def _personal(reader: Reader, found: Located) -> Json | None:
    """Whether values of this prediction are encrypted, or were erased, by which event, on whose word and why; None
    where nothing is personal. The audit has no key and reads none of it."""
    token = found.values.get("entity")
    if found.values.get(batches.SEALED) is None or token is None:
        return None
    node = f"subject/{str(token).partition(':')[2]}"
    told = (await reader.events_about([node])).get(node, [])
    if not told:
        detail = "Personal values are encrypted; the monitor shows them to who may read them."
        return {"state": "encrypted", "subject": token, "event_id": None, "by": None, "at": None, "detail": detail}
    row = told[0]
    detail = f"Personal values were erased: {data_of(row)['reason']}."
    stated = {"event_id": row["event_id"], "by": row["actor"], "at": row["time"]}
    return {"state": "erased", "subject": token, **stated, "detail": detail}


async def _goal(reader: Reader, model: str) -> dict[str, Any]:
    name = (await goals_of(reader, {model})).get(model)
    if name is None:
        return {"goal": None, "kpis": []}
    goal = f"goal/{name}"
    kpis = [row["src"] for row in await reader.edges_to([goal], source="kpi/")]
    about = await reader.about([goal, *kpis])
    return {"goal": about[goal], "kpis": [about[node] for node in sorted(set(kpis))]}


async def _provenance(reader: Reader, version: str) -> dict[str, Any]:
    """Training data and runs of a version, and the pipelines and inputs of the runs."""
    edges = await reader.edges_from([version])
    data = [row["dst"] for row in edges if row["role"] == "training_data"]
    runs = [row["dst"] for row in edges if row["role"] == "run"]
    runs += [row["dst"] for row in await reader.edges_from(runs) if row["relation"] == "alternateOf"]
    behind = await reader.edges_from(runs)
    used = [row for row in behind if row["relation"] == USED]
    inputs = {run: [row["dst"].partition("/")[2] for row in used if row["src"] == run] for run in runs}
    about = await reader.about([*data, *runs])
    told = [{**about[run], "used": inputs[run]} for run in runs if about[run]["events"]]
    return {"training_data": [about[node] for node in data], "runs": told}


async def _evidence(reader: Reader, version: str) -> list[dict[str, Any]]:
    nodes = [row["src"] for row in await reader.edges_to([version], source="evidence/")]
    about = await reader.about(nodes)
    return [about[node] for node in nodes]


async def _allowed(reader: Reader, then: Reader, found: Located, version: str, deployment: str) -> dict[str, Any]:
    """Who let it speak: traffic and gate of that instant, approvals as of the time asked about."""
    (versions, gates), (seen, taking) = await gather(
        gather(version_facts(reader, {version}), gates_of(then, {version})), _traffic(reader, then, deployment)
    )
    gate = gates[version] or versions[version]["gate"]
    return {
        "traffic": {"as_of": seen, **take_part(taking.get(deployment, []), {})},
        "approvals": versions[version]["approvals"],
        "gate": {"as_of": found.at if gates[version] else reader.moment.at, "stages": gate},
    }


async def _traffic(reader: Reader, then: Reader, deployment: str) -> tuple[datetime, dict[str, list[Participant]]]:
    """Who took part then, or where nothing had been said about that time, as of the time asked about; and which."""
    earlier, rows = await gather(then.traffic([deployment]), reader.traffic([deployment]))
    chosen = then if earlier else reader
    return chosen.moment.at, await participants(chosen, earlier or rows)


async def _policies(reader: Reader, then: Reader) -> dict[str, Json]:
    """Stage → the policy in force when the prediction was made; where none had been adopted by then, now."""
    latest = await _adoptions(reader)
    earlier = [row for row in latest if row["time"] <= then.moment.at]
    if len(latest) == MAX_POLICIES:  # there may be more of them behind so many later ones
        earlier = await _adoptions(then)
    return _in_force(earlier) or _in_force(latest)


async def _adoptions(reader: Reader) -> list[Row]:
    """The newest adoptions of policies, the newest first."""
    where = (*equal(type="PolicyAdopted"), *reader.moment.events)
    order = ("-recorded", "-sequence")
    return await reader.store.find(Query("ledger", where, order, MAX_POLICIES, columns=EVENT_COLUMNS))


def _in_force(adoptions: list[Row]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for row in adoptions:
        data = data_of(row)
        stated = {"node": row["node"], "adopted_by": row["actor"], "time": row["time"], "recorded": row["recorded"]}
        found.setdefault(data["stage"], {**data, **stated, "event_id": row["event_id"]})
    return found


async def _experiments(reader: Reader, found: Located, version: str, deployment: str) -> list[Json]:
    """The registered experiments of its deployment that were running when the prediction was made, each with the arm
    that its version was; how one ended is told where that was known by then."""
    edges = await reader.edges_to([version], source=f"experiment/{deployment}/")
    arms = {row["src"]: row["role"] for row in edges if row["role"] != "winner"}
    said, about = await gather(reader.events_about(arms), reader.about(arms))
    told: list[Json] = []
    for node, arm in arms.items():
        began = min(row["time"] for row in said[node])
        ends = [row["time"] for row in said[node] if row["type"] == "ExperimentConcluded"]
        if began <= found.at and not (ends and ends[-1] < found.at):
            told.append({**about[node], "arm": arm})
    return told


def version_of(told: Json) -> str:
    """The node of the version that a story's prediction came from."""
    return version_node(told["prediction"]["model"], told["prediction"]["version"])


def experiments_of(told: Json) -> list[str]:
    """The nodes of a story's experiments."""
    return [f"{one['kind']}/{one['id']}" for one in told["experiments"]]


def policy_links(told: Json) -> list[Row]:
    """The edges from the gates of a story's version to the policies of that day, which follow from the dates."""
    gates = f"gate/{version_of(told).partition('/')[2]}"
    return [
        link(f"{gates}/{stage}", INFLUENCED, policy["node"], "policy", policy)
        for stage, policy in told["policy"].items()
    ]


async def _flags(log: EventLog, reader: Reader, found: Located) -> list[dict[str, Any]]:
    """Flags on this prediction, each with what became of it."""
    edges = await reader.edges_to(found.nodes, source="flag/")
    single = {row["src"] for row in edges if row["dst"] != found.batch["node"]}
    many = sorted({row["src"] for row in edges} - single)[:MAX_MANY]
    nodes = sorted(single | await many_with(log, reader, many, found.batch["event_id"], found.row))
    events, about = await gather(reader.events_about(nodes), reader.about(nodes))
    flags: list[dict[str, Any]] = []
    step = ("event_id", "type", "time", "recorded", "actor")
    for node in nodes:
        history = [
            {**{name: row[name] for name in step}, **lateness(row["time"], row["recorded"]), "data": data_of(row)}
            for row in events.get(node, [])
        ]
        resolved = [event["data"]["resolution"] for event in history if event["type"] == "FlagResolved"]
        resolution = resolved[-1] if resolved else None
        flags.append({**about[node], "resolution": resolution, "history": history})
    return flags


async def outcome(log: EventLog, reader: Reader, found: Located) -> dict[str, Any] | None:
    """What came true, as far as it was known: the value of the last join that has this row, corrections included."""
    edges = await reader.edges_to([found.batch["node"]], bulk=True)
    joined = sorted({row["src"] for row in edges if row["src"].startswith("joined/")})
    ids = [node.partition("/")[2] for node in joined]
    if not ids:
        return None
    columns = (*EVENT_COLUMNS, *_PLACE)
    query = Query("ledger", (Where("event_id", "in", ids),), ("-recorded", "-sequence"), MAX_JOINED, columns=columns)
    rows = await reader.store.find(query)
    reader.truncated = reader.truncated or len(ids) > len(rows)
    for row in rows:
        value = _joined_value(await table_of(log, row), found)
        if value is not None and value["at"] <= reader.moment.at:
            told = {"event_id": row["event_id"], "recorded": row["recorded"]}
            return {**value, **told, "outcome_event": data_of(row)["outcome_event"]}
    return None


def _joined_value(table: pa.RecordBatch, found: Located) -> dict[str, Any] | None:
    mine = (pc.field("batch") == found.batch["event_id"]) & (pc.field("row") == found.row)
    kept = [row for row in pa.Table.from_batches([table]).filter(mine).to_pylist() if row["weight"] > 0]
    return {"value": kept[-1]["value"], "at": kept[-1]["outcome_at"]} if kept else None
