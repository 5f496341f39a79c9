"""Exports over HTTP, read by the tools that their standards have."""

import asyncio
import json
from base64 import b64decode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from openlineage.client import OpenLineageClient
from openlineage.client.transport.http import HttpConfig, HttpTransport
from prov.model import ProvActivity, ProvAgent, ProvDocument, ProvEntity

from services.audit.exports.parquet import stream
from services.audit.service import DEFINITION
from shared.log.tables import Query
from tests.component.openlineage_reader import consumer, read
from tests.component.report_given import APPROVED, BATCH, FLAG, Whole, whole
from tests.support import System, running
from tests.unit.audit.facts import day


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        yield system


@pytest.fixture
async def told(system: System) -> Whole:
    return await whole(system)


async def get(system: System, path: str, status: int = 200, **parameters: Any):
    response = await system.client.get(path, params=parameters)
    assert response.status_code == status, response.text
    return response


async def export(system: System, kind: str, **parameters: Any) -> Any:
    return (await get(system, f"/v1/export/{kind}/flights", **parameters)).json()


async def prov_of(system: System, **parameters: Any) -> ProvDocument:
    text = (await get(system, "/v1/export/prov/flights", **parameters)).text
    found = ProvDocument.deserialize(content=text, format="json")
    assert isinstance(found, ProvDocument)
    return found


def names(document: ProvDocument, cls: type) -> set[str]:
    return {record.identifier.localpart for record in document.get_records(cls)}


async def test_prov_reads_the_lineage_and_writes_the_same(system: System, told: Whole):
    document = await prov_of(system)
    entities, activities, agents = (names(document, cls) for cls in (ProvEntity, ProvActivity, ProvAgent))
    assert {"version/flights@1", "dataset/raw@1", f"approval/{APPROVED}", f"flag/{FLAG}", "goal/warn"} <= entities
    assert {"run/train/r1", "deployment/late", "verification/v"} <= activities
    assert {"actor/dan", "actor/rita", "actor/mia"} <= agents
    again = ProvDocument.deserialize(content=document.serialize(format="json"), format="json")
    assert again == document
    assert "wasGeneratedBy" in document.get_provn()


async def test_prov_keeps_its_own_constraints(system: System, told: Whole):
    """PROV-CONSTRAINTS: entities, activities and agents are disjoint here, and each relation's ends are of its kind."""
    made = await export(system, "prov")
    kinds = {kind: set(made[kind]) for kind in ("entity", "activity", "agent")}
    assert not kinds["entity"] & kinds["activity"]
    assert not kinds["entity"] & kinds["agent"]
    ends = {
        "prov:activity": "activity", "prov:agent": "agent", "prov:entity": "entity", "prov:generatedEntity": "entity",
        "prov:usedEntity": "entity", "prov:specificEntity": "entity", "prov:generalEntity": "entity",
        "prov:collection": "entity", "prov:plan": "entity",
    }  # fmt: skip
    relations = {name: rows for name, rows in made.items() if name not in {"prefix", *kinds}}
    assert {"used", "wasGeneratedBy", "wasDerivedFrom", "wasAttributedTo", "wasAssociatedWith"} <= set(relations)
    for rows in relations.values():
        for row in rows.values():
            for end, node in row.items():
                if end in ends:
                    assert node in kinds[ends[end]], (end, node)


async def test_prov_of_the_past(system: System, told: Whole):
    early = await export(system, "prov", at=day(2).isoformat())
    assert "mun:version/flights@2" not in early["entity"]
    assert "mun:deployment/late" not in early["activity"]
    late = await export(system, "prov")
    champions = [row for row in late["used"].values() if row.get("said:role") == "champion"]
    assert [row["prov:entity"] for row in champions] == ["mun:version/flights@2"]


@pytest.mark.parametrize("path", ["prov/flights", "openlineage/flights", "cyclonedx/flights", "events"])
async def test_an_export_tells_its_moment_so_that_it_can_be_asked_for_again(system: System, told: Whole, path: str):
    first = await get(system, f"/v1/export/{path}")
    moment = {"at": first.headers["muniment-at"], "known_at": first.headers["muniment-known-at"]}
    again = await get(system, f"/v1/export/{path}", **moment)
    assert (again.content, again.headers["muniment-at"]) == (first.content, first.headers["muniment-at"])


async def test_the_official_client_reads_every_openlineage_event(system: System, told: Whole):
    events = await export(system, "openlineage")
    kinds = [event["schemaURL"].rpartition("/")[2] for event in events]
    assert set(kinds) == {"RunEvent", "JobEvent", "DatasetEvent"}
    assert len([read(event) for event in events]) == len(events)
    assert [event["eventTime"] for event in events] == sorted(event["eventTime"] for event in events)


async def test_openlineage_leads_from_raw_data_to_predictions(system: System, told: Whole):
    events = await export(system, "openlineage")
    made: dict[str, set[str]] = {}
    for event in events:
        for out in event.get("outputs", []):
            made.setdefault(out["name"], set()).update(one["name"] for one in event["inputs"])
    reached, waiting = set[str](), ["predictions/late"]
    while waiting:
        name = waiting.pop()
        reached.add(name)
        waiting += [one for one in made.get(name, ()) if one not in reached]
    assert {"models/flights", "flights-2013", "raw"} <= reached
    runs = [event for event in events if event.get("eventType") in ("START", "COMPLETE")]
    assert {event["run"]["runId"] for event in runs} == {runs[0]["run"]["runId"]}
    (data,) = [event for event in events if event.get("dataset", {}).get("name") == "flights-2013"]
    lineage = data["dataset"]["facets"]["columnLineage"]["fields"]["hour"]["inputFields"]
    assert lineage == [{"namespace": "muniment", "name": "raw", "field": "dep"}]


async def test_a_consumer_takes_what_the_client_emits(system: System, told: Whole):
    events = await export(system, "openlineage")

    def emit() -> list[dict[str, Any]]:
        with consumer() as (url, taken):
            client = OpenLineageClient(transport=HttpTransport(HttpConfig(url=url)))
            for event in events:
                client.emit(read(event))
            return taken

    taken = await asyncio.to_thread(emit)
    assert [one["schemaURL"] for one in taken] == [one["schemaURL"] for one in events]
    assert [one.get("job", {}).get("name") for one in taken] == [one.get("job", {}).get("name") for one in events]


@pytest.mark.parametrize("at", [1.5, 20, 60])
async def test_the_bill_of_materials_is_valid_cyclonedx(system: System, told: Whole, at: float):
    response = await get(system, "/v1/export/cyclonedx/flights", at=day(at).isoformat())
    assert response.headers["content-type"].startswith("application/vnd.cyclonedx+json")
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(response.text) is None


async def test_the_validator_would_object(system: System, told: Whole):
    made = await export(system, "cyclonedx")
    made["metadata"]["component"]["modelCard"]["modelParameters"]["approach"] = {"type": "wishful"}
    validator = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)
    assert validator.validate_str(json.dumps(made)) is not None


async def test_the_model_card_says_what_is_on_record(system: System, told: Whole):
    made = await export(system, "cyclonedx")
    component = made["metadata"]["component"]
    assert (component["name"], component["version"]) == ("flights", "2")
    card = component["modelCard"]
    assert card["considerations"]["useCases"] == ["Will it be late? Warn the passengers."]
    assert card["considerations"]["technicalLimitations"] == ["watch summer"]
    assert {"type": "auc", "value": "0.71", "slice": "test auc"} in card["quantitativeAnalysis"]["performanceMetrics"]
    drawn = card["quantitativeAnalysis"]["graphics"]["collection"]
    assert all(b64decode(one["image"]["content"]).startswith(b"<svg") for one in drawn)
    assert drawn
    refs = {part["bom-ref"] for part in made["components"]}
    assert {"dataset/raw@1", "dataset/flights-2013@1", "model/flights@1", "framework/scikit-learn"} <= refs
    assert {one["ref"] for one in made["dependencies"]} == refs | {"model/flights@2"}
    assert "Approved as risk_manager. fine Conditions: watch summer" in [one["text"] for one in made["annotations"]]


async def test_duckdb_counts_the_event_log(system: System, told: Whole, tmp_path: Path):
    file = tmp_path / "events.parquet"
    file.write_bytes((await get(system, "/v1/export/events")).content)
    con = duckdb.connect()
    counted = dict(con.execute(f"SELECT type, count(*) FROM '{file}' GROUP BY type").fetchall())
    listed: dict[str, int] = {}
    for item in (await get(system, "/v1/events", limit=1000)).json()["items"]:
        listed[item["type"]] = listed.get(item["type"], 0) + 1
    assert counted == listed
    question = f"SELECT event_id, data->>'cost' IS NULL, sha256('x') FROM '{file}' WHERE type = 'PredictionLogged'"
    assert con.execute(question).fetchone()[0] == BATCH
    best = f"SELECT max((data->'quality'->>'auc')::DOUBLE) FROM '{file}' WHERE type = 'WindowMeasured'"
    assert con.execute(best).fetchone()[0] == pytest.approx(0.6 + 29 / 300)
    ordered = con.execute(f"SELECT recorded FROM '{file}'").fetchall()
    assert ordered == sorted(ordered)


async def test_the_leaf_is_the_hash_of_the_entry(system: System, told: Whole, tmp_path: Path):
    from hashlib import sha256

    file = tmp_path / "events.parquet"
    file.write_bytes((await get(system, "/v1/export/events")).content)
    rows = duckdb.connect().execute(f"SELECT entry, leaf FROM '{file}'").fetchall()
    assert len(rows) > 60
    assert [sha256(b"\0" + entry.encode()).hexdigest() for entry, _ in rows] == [leaf for _, leaf in rows]


async def test_the_event_log_of_the_past_and_of_one_kind(system: System, told: Whole, tmp_path: Path):
    file = tmp_path / "events.parquet"
    query = {"type": "EvidenceRecorded", "at": day(60).isoformat(), "known_at": day(44).isoformat()}
    file.write_bytes((await get(system, "/v1/export/events", **query)).content)
    assert duckdb.connect().execute(f"SELECT count(*) FROM '{file}'").fetchone() == (2,)
    file.write_bytes((await get(system, "/v1/export/events", type="Nothing")).content)
    assert duckdb.connect().execute(f"SELECT count(*) FROM '{file}'").fetchone() == (0,)


@pytest.mark.parametrize("kind", ["prov", "openlineage", "cyclonedx"])
async def test_exports_of_unknown_models_and_of_bare_ones(system: System, told: Whole, kind: str):
    from shared.events import registry

    await get(system, f"/v1/export/{kind}/flihgts", 404)
    await told.story.say("model/bare", registry.ModelRegistered(model="bare", owner="dan"), 1)
    await system.settle()
    assert (await get(system, f"/v1/export/{kind}/bare")).json() is not None


async def test_a_long_log_is_many_row_groups_and_stops_at_its_limit(system: System, told: Whole, tmp_path: Path):
    query = Query("ledger", (), ("recorded",))
    file = tmp_path / "events.parquet"
    pieces = [piece async for piece in stream(system.stores["audit"], query, 25, group=10)]
    file.write_bytes(b"".join(pieces))
    assert [pq.ParquetFile(file).metadata.row_group(number).num_rows for number in range(3)] == [10, 10, 5]
    assert len(pieces) == 4
    whole_log = duckdb.connect().execute(f"SELECT event_id, recorded FROM '{file}'").fetchall()
    assert whole_log == sorted(whole_log, key=lambda row: (row[1], row[0]))


async def test_what_a_limit_cut_is_told_everywhere():
    async with running(DEFINITION, report_max_events=20) as small:
        await whole(small)
        cut = "of what was measured of late only the newest 20 were read."
        for kind in ("prov", "openlineage", "cyclonedx"):
            assert cut in (await get(small, f"/v1/export/{kind}/flights")).headers["muniment-truncated"]
        report = (await get(small, "/v1/reports/flights")).json()
        told_ = [block.get("text") for block in report["parts"][0]["sections"][0]["blocks"]]
        assert f"A limit was met while the facts were read: {cut}" in told_
