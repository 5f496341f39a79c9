"""A reference that lies in a file: read once at registration, within limits, and never needed again."""

import gzip
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import pytest

from services.monitor.service import DEFINITION as MONITOR
from services.registry.service import DEFINITION
from tests.component.bucket import serving
from tests.support import System, running

SIGNATURE = {"inputs": {"hour": "long", "wind": "double", "carrier": "string", "holiday": "boolean"}, "outputs": {}}
ROWS = 1_000
COLUMNS: dict[str, list[Any]] = {
    "hour": [row % 24 for row in range(ROWS)],
    "wind": [None if row == 3 else row / 4 for row in range(ROWS)],
    "carrier": [("01", "UA")[row % 2] for row in range(ROWS)],
    "holiday": [row % 7 == 0 for row in range(ROWS)],
    "label": [row % 2 for row in range(ROWS)],
}
FEATURES = {name: values for name, values in COLUMNS.items() if name != "label"}


def objects() -> list[dict[str, Any]]:
    return [dict(zip(COLUMNS, row, strict=True)) for row in zip(*COLUMNS.values(), strict=True)]


def csv_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    pyarrow.csv.write_csv(pa.table(COLUMNS), sink)
    return sink.getvalue().to_pybytes()


def parquet_bytes() -> bytes:
    sink = pa.BufferOutputStream()
    table = pa.table(COLUMNS).set_column(2, "carrier", pa.array(COLUMNS["carrier"]).dictionary_encode())
    pyarrow.parquet.write_table(table, sink, row_group_size=300)
    return sink.getvalue().to_pybytes()


def lines() -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in objects())


FORMATS: dict[str, Callable[[], bytes]] = {
    "train.csv": csv_bytes,
    "train.csv.gz": lambda: gzip.compress(csv_bytes()),
    "train.parquet": parquet_bytes,
    "train.json": lambda: json.dumps(COLUMNS).encode(),
    "rows.json": lambda: json.dumps(objects()).encode(),
    "train.jsonl": lines,
    "train.ndjson.gz": lambda: gzip.compress(lines()),
}


async def registry(**changed: Any) -> AsyncIterator[System]:
    async with running(DEFINITION, MONITOR, **changed) as system:
        assert (await system.client.post("/v1/models", json={"name": "late"})).status_code == 201
        yield system


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async for system in registry():
        yield system


async def register(system: System, reference: Any, signature: Any = SIGNATURE, **headers: str) -> Any:
    body = {"artifact": {"uri": "external:x"}, "signature": signature, "reference": reference}
    return await system.client.post("/v1/models/late/versions", json=body, headers=headers)


async def registered(system: System, reference: Any, **more: Any) -> dict[str, Any]:
    """Register, and answer the version as the registry's view tells it, with its values."""
    answer = await register(system, reference, **more)
    assert answer.status_code == 201, answer.text
    await system.settle()
    path = f"/v1/models/late/versions/{answer.json()['version']}"
    values = (await system.client.get(f"{path}/reference")).json()["reference"]
    return (await system.client.get(path)).json() | {"values": values}


@pytest.mark.parametrize("name", FORMATS)
async def test_every_format_gives_the_same_values(system: System, tmp_path: Path, name: str) -> None:
    data = FORMATS[name]()
    (tmp_path / name).write_bytes(data)
    uri = (tmp_path / name).as_uri()
    digest = hashlib.sha256(data).hexdigest()
    version = await registered(system, {"uri": uri, "sha256": digest.upper()})
    assert version["values"] == FEATURES
    assert version["reference_source"] == {"uri": uri, "sha256": digest, "rows": ROWS}


async def test_folds_and_rebuilds_need_the_file_no_more(system: System, tmp_path: Path) -> None:
    path = tmp_path / "train.parquet"
    path.write_bytes(parquet_bytes())
    assert (await register(system, {"uri": path.as_uri()}, **{"Idempotency-Key": "k"})).status_code == 201
    path.unlink()
    await system.settle()
    before = await system.stores["monitor"].get("versions", "late", 1)
    assert before is not None
    assert {one["feature"] for one in before["bins"]} == set(FEATURES)
    await system.stores["monitor"].clear_views("monitor.facts")
    facts = system.consumer("monitor.facts")
    for place in await system.log.bounds(facts.topics):
        facts.forget(place)
    await system.settle()
    assert await system.stores["monitor"].get("versions", "late", 1) == before
    again = await register(system, {"uri": path.as_uri()}, **{"Idempotency-Key": "k"})
    assert (again.status_code, again.headers["idempotent-replayed"]) == (201, "true")


async def test_a_sample_is_evenly_spaced_and_its_rows_belong_together(tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(parquet_bytes())
    (tmp_path / "train.csv").write_bytes(csv_bytes())
    async for system in registry(reference_values=100, reference_total_values=200):
        wanted = {name: values[::20] for name, values in FEATURES.items()}
        for name in ("train.parquet", "train.csv"):
            version = await registered(system, {"uri": (tmp_path / name).as_uri()})
            assert version["values"] == wanted
            assert version["reference_source"]["rows"] == ROWS


async def test_without_a_signature_every_column_is_a_feature(system: System, tmp_path: Path) -> None:
    (tmp_path / "train.parquet").write_bytes(parquet_bytes())
    version = await registered(system, {"uri": (tmp_path / "train.parquet").as_uri()}, signature={})
    assert version["values"] == COLUMNS


async def test_a_feature_may_be_called_uri(system: System) -> None:
    version = await registered(system, {"uri": ["a", "b"]}, signature={})
    assert (version["values"], version["reference_source"]) == ({"uri": ["a", "b"]}, None)


BAD: dict[str, tuple[str, bytes | None, str, str]] = {
    "missing": ("gone.csv", None, "reference-unreadable", "no such file"),
    "unknown ending": ("passwd", b"root:x:0", "reference-unreadable", "must end in"),
    "torn": ("torn.parquet", b"PAR1 no more", "reference-unreadable", "contents cannot be read"),
    "empty": ("empty.csv", b"", "reference-unreadable", "cannot be read"),
    "no JSON": ("no.json", b"{", "reference-unreadable", "cannot be read"),
    "nested": (
        "deep.json",
        b'{"hour":[[1]],"wind":[1],"carrier":["a"],"holiday":[true]}',
        "reference-unreadable",
        "list",
    ),
    "scalars": ("scalar.json", b"7", "reference-unreadable", "neither"),
    "other columns": ("other.csv", b"hour,wind\n1,2\n", "reference-unreadable", "no column carrier, holiday"),
    "twice": ("twice.csv", b"hour,hour\n1,2\n", "reference-unreadable", "twice"),
    "wrong type": ("type.csv", b"hour,wind,carrier,holiday\n1.5,2,a,true\n", "reference-unreadable", "1.5"),
    "ragged": ("ragged.csv", b"hour,wind,carrier,holiday\n1,2,a\n", "reference-unreadable", "columns"),
    "too large": ("large.csv", b"x" * 70_000, "reference-too-large", "more than 65536 bytes"),
}


@pytest.mark.parametrize("case", BAD)
async def test_what_cannot_be_taken_says_why(tmp_path: Path, case: str) -> None:
    name, data, code, word = BAD[case]
    if data is not None:
        (tmp_path / name).write_bytes(data)
    async for system in registry(max_reference_bytes=65_536):
        answer = await register(system, {"uri": (tmp_path / name).as_uri()})
        assert answer.status_code == 422, answer.text
        assert answer.json()["type"].endswith(code)
        assert word in answer.json()["detail"]


async def test_places_directories_credentials_and_other_digests(system: System, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(csv_bytes())
    for uri, word in (
        (tmp_path.as_uri(), "directory, not a file"),
        (str(path), "must have a scheme"),
        ("s3://key:secret@bucket/train.csv", "credentials"),
        ("https://example.org/train.csv", "places allowed"),
        ("file:///data/../etc/train.csv", "places allowed"),
        ("file://elsewhere/train.csv", "another machine"),
    ):
        answer = await register(system, {"uri": uri})
        assert (answer.status_code, word in answer.json()["detail"]) == (422, True), answer.text
    answer = await register(system, {"uri": path.as_uri(), "sha256": "0" * 64})
    assert answer.json()["type"].endswith("reference-differs")


async def test_only_the_places_allowed_are_read_even_through_links(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "train.csv").write_bytes(csv_bytes())
    (inside / "link.csv").symlink_to(outside / "train.csv")
    (inside / "train.csv").write_bytes(csv_bytes())
    async for system in registry(reference_places=(f"{inside.as_uri()}/",)):
        assert (await register(system, {"uri": (inside / "train.csv").as_uri()})).status_code == 201
        assert (await register(system, {"uri": (inside / "link.csv").as_uri()})).status_code == 422


async def test_what_hangs_is_given_up(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_bytes(csv_bytes())
    async for system in registry(reference_seconds=0.0):
        answer = await register(system, {"uri": (tmp_path / "train.csv").as_uri()})
        assert answer.json()["type"].endswith("reference-too-slow")


async def test_an_object_of_s3(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    data = parquet_bytes()
    with serving({"a/train.parquet": data}, monkeypatch):
        version = await registered(system, {"uri": "s3://data/a/train.parquet"})
        assert version["values"] == FEATURES
        assert version["reference_source"]["sha256"] == hashlib.sha256(data).hexdigest()
        gone = await register(system, {"uri": "s3://data/gone.parquet"})
        assert gone.json()["type"].endswith("reference-unreadable")


async def test_personal_columns_of_a_file_are_not_read(system: System, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(csv_bytes())
    inputs = [
        {"name": "hour", "type": "long"},
        {"name": "carrier", "type": "string", "personal": True},
        {"name": "wind", "type": "double", "required": False},
    ]
    version = await registered(system, {"uri": path.as_uri()}, signature={"inputs": inputs, "outputs": []})
    assert set(version["values"]) == {"hour", "wind"}
    alone = {"inputs": [inputs[1]], "outputs": []}
    assert (await registered(system, {"uri": path.as_uri()}, signature=alone))["values"] == {}


async def test_an_input_that_names_the_person_is_declared_and_not_read(system: System, tmp_path: Path) -> None:
    path = tmp_path / "train.csv"
    path.write_bytes(csv_bytes())
    inputs = [{"name": "hour", "type": "long"}, {"name": "carrier", "type": "string"}]
    signature = {"inputs": inputs, "outputs": [], "subject": "carrier"}
    version = await registered(system, {"uri": path.as_uri()}, signature=signature)
    assert (version["signature"]["subject"], set(version["values"])) == ("carrier", {"hour"})
    wrong = await register(system, {"uri": path.as_uri()}, signature=signature | {"subject": "wind"})
    assert (wrong.status_code, wrong.json()["type"]) == (422, "urn:muniment:problem:bad-signature")
