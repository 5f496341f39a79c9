"""Reads the facts of a report from the ledger, as of one moment and within limits."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import orjson

from services.audit.moment import Moment
from services.audit.reports.facts import Fact, Facts, ordered, personal
from shared.events.catalog import TYPES, upcast
from shared.log.store import Store
from shared.log.tables import Query, Row, Where, cursor_of, equal

PAGE = 1_000
EVENT_COLUMNS = ("event_id", "type", "subject", "sequence", "actor", "time", "recorded", "entry")


class Gathering:
    """Questions to the ledger for one report. `limit`: events that one question may bring; what meets it is told in
    `limits`, and then the newest are there."""

    def __init__(self, store: Store, moment: Moment, limit: int) -> None:
        self.store, self.moment, self.limit = store, moment, limit
        self.limits: list[str] = []

    async def model(self, name: str) -> Facts | None:
        """The facts about one model; None where it was not registered at that moment."""
        own = await self.where("what the registry said", *equal(subject=f"model/{name}"))
        if not any(fact.type == "ModelRegistered" for fact in own):
            return None
        found = [*own, *await self._purpose(own), *await self._origins(own), *await self._use(name)]
        found += [*await self.common(), *await self.where("issued reports", *equal(subject=f"report/{name}"))]
        if any(personal(fact) for fact in own if fact.type == "ModelVersionRegistered"):
            found += await self.where("erasures", *equal(type="SubjectForgotten"))
        return self.facts(name, found)

    async def models(self) -> list[str]:
        """Names of all models registered by that moment."""
        found = await self.where("models", *equal(type="ModelRegistered"))
        return sorted({fact.data["model"] for fact in found})

    def facts(self, name: str, found: Iterable[Fact]) -> Facts:
        return Facts(name, self.moment.at, self.moment.known_at, ordered(found), tuple(self.limits))

    async def common(self) -> list[Fact]:
        """What concerns every model: policies, verifications, and the newest checkpoint."""
        newest = Query(
            "ledger", (*equal(type="CheckpointSigned"), *self.moment.events), ("-time",), 1, None, EVENT_COLUMNS
        )
        return [
            *await self.where("policies", *equal(type="PolicyAdopted")),
            *await self.where("verifications", *equal(type="VerificationCompleted")),
            *await self.where("checks of views", *equal(type="ViewsVerified")),
            *map(fact_of, await self.store.find(newest)),
        ]

    async def _purpose(self, own: Sequence[Fact]) -> list[Fact]:
        goals = {fact.data["goal"] for fact in own if fact.type == "ModelRegistered" and fact.data["goal"]}
        found: list[Fact] = []
        for goal in sorted(goals):
            found += await self.where("what was said of the goal", *equal(subject=f"goal/{goal}"))
        if goals:
            kpis = await self.where("KPIs", *equal(type="KpiDefined"))
            found += [fact for fact in kpis if fact.data["goal"] in goals]
        return found

    async def _origins(self, own: Sequence[Fact]) -> list[Fact]:
        """Runs, pipelines and data sets that the versions came from."""
        versions = [fact for fact in own if fact.type == "ModelVersionRegistered"]
        names = sorted({fact.data["pipeline_run"] for fact in versions if fact.data["pipeline_run"]})
        nodes = [f"run/{name}" for name in names]
        aliases = await self._edges(*(Where("src", "in", nodes), *equal(relation="alternateOf"))) if nodes else []
        nodes += [row["dst"] for row in aliases]
        runs = await self.where("pipeline runs", Where("node", "in", nodes)) if nodes else []
        pipelines = sorted({f"pipeline/{fact.data['pipeline']}" for fact in runs})
        found = [*runs, *(await self.where("pipelines", Where("node", "in", pipelines)) if pipelines else [])]
        refs = [ref for fact in versions for ref in fact.data["training_data"]]
        refs += [ref for fact in runs for ref in (*fact.data["inputs"], *fact.data["outputs"])]
        sets = sorted({f"dataset/{ref['dataset']}@{ref['version']}" for ref in refs})
        return [*found, *(await self.where("data sets", Where("node", "in", sets)) if sets else [])]

    async def _use(self, model: str) -> list[Fact]:
        """Deployments of the model, what was measured of them, and what experts said."""
        deployed = await self.where("deployments", *equal(type="Deployed"))
        names = sorted({fact.data["deployment"] for fact in deployed if fact.data["model"] == model})
        found: list[Fact] = []
        for name in names:
            found += await self.where(f"changes of {name}", *equal(subject=f"deployment/{name}"))
            found += await self.where(f"what was measured of {name}", Where("subject", "prefix", f"window/{name}/"))
            found += await self._predictions(name)
            found += await self._hung(name)
        return [fact for fact in found if fact.data.get("model", model) == model]

    async def _predictions(self, deployment: str) -> list[Fact]:
        """The first and the last batch that the log took; between them lie those that windows count."""
        ends: list[Row] = []
        for order in ("valid_at", "-valid_at"):
            where = (*equal(dst=f"deployment/{deployment}", bulk=True), Where("src", "prefix", "batch/"))
            ends += await self.store.find(Query("edges", (*where, *self.moment.facts), (order,), 1))
        ids = [row["event_id"] for row in ends]
        return await self.where("batches", Where("event_id", "in", ids)) if ids else []

    async def _hung(self, deployment: str) -> list[Fact]:
        """What hangs on a deployment and is not in the millions: flags, alerts, breaches, retention."""
        nodes = {f"retention/{deployment}"}
        for kind in ("flag/", "alert/", "breach/"):
            about = (*equal(dst=f"deployment/{deployment}", bulk=False), Where("src", "prefix", kind))
            nodes |= {row["src"] for row in await self._edges(*about)}
        found: list[Fact] = []
        listed = sorted(nodes)
        for start in range(0, len(listed), PAGE):
            found += await self.where("flags and alerts", Where("node", "in", listed[start : start + PAGE]))
        return found

    async def _edges(self, *where: Where) -> list[Row]:
        return await self._paged(Query("edges", (*where, *self.moment.facts), ("-valid_at",)), "edges")

    async def where(self, what: str, *where: Where) -> list[Fact]:
        """Events that meet these conditions, the newest `limit` of them."""
        query = Query("ledger", (*where, *self.moment.events), ("-time",), columns=EVENT_COLUMNS)
        return [fact_of(row) for row in await self._paged(query, what)]

    async def _paged(self, query: Query, what: str) -> list[Row]:
        table, rows = self.store.tables[query.table], list[Row]()
        while True:
            size = min(PAGE, self.limit + 1 - len(rows))
            page = await self.store.find(replace(query, limit=size, columns=_with_key(query, table.key)))
            rows += page
            if len(rows) > self.limit:
                self.limits.append(f"of {what} only the newest {self.limit:,} were read.")
                return rows[: self.limit]
            if len(page) < size:
                return rows
            query = replace(query, after=cursor_of(table, query, page[-1]))


def _with_key(query: Query, key: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys((*query.columns, *key))) if query.columns else ()


def fact_of(row: Row) -> Fact:
    """A ledger row as a fact; of a version without the values of its reference, which no report shows."""
    entry: dict[str, Any] = orjson.loads(row["entry"])
    version = int(entry["dataschema"].rpartition(":")[2])
    data = upcast(row["type"], version, entry["data"]) if row["type"] in TYPES else entry["data"]
    if "reference" in data:
        data["reference"] = {}
    place = (row["event_id"], row["type"], row["subject"], row["sequence"])
    return Fact(*place, row["time"], row["recorded"], row["actor"], data)
