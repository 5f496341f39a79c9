"""MLflow's own client against the registry: an MLflow user's script works with only the registry's address changed."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from services.registry.api.mlflow import tagged
from services.registry.service import DEFINITION
from shared.runtime.identity import Role, add_key
from tests.component.served import served

SOURCE = "s3://models/late/1"


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with served(DEFINITION, tmp_path_factory.mktemp("registry")) as found:
        yield found


@pytest.fixture
def client(address: str, monkeypatch: pytest.MonkeyPatch) -> MlflowClient:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
    return MlflowClient(tracking_uri=address, registry_uri=address)


def native(address: str, method: str, path: str, actor: str = "ada", **body: Any) -> dict[str, Any]:
    answer = httpx.request(method, address + path, json=body or None, headers={"X-Actor": actor}, timeout=60)
    assert answer.status_code < 300, answer.text
    return answer.json()


def open_gate(address: str, model: str, version: int) -> None:
    of_version = f"/v1/models/{model}/versions/{version}"
    native(address, "POST", f"{of_version}/evidence", kind="quality", name="auc", passed=True)
    native(address, "POST", f"{of_version}/approvals", actor="rita", decision="approve", role="risk_manager")


def code(error: pytest.ExceptionInfo[MlflowException]) -> str:
    return error.value.error_code


def test_a_script_registers_describes_tags_and_finds(client: MlflowClient) -> None:
    created = client.create_registered_model("Late flights", tags={"team": "ops"}, description="will it be late?")
    assert (created.name, created.description, created.tags) == ("Late flights", "will it be late?", {"team": "ops"})
    first = client.create_model_version("Late flights", SOURCE, run_id="r1", tags={"data": "2013"}, description="one")
    assert (first.version, first.status, first.source, first.run_id) == ("1", "READY", SOURCE, "r1")
    assert (first.current_stage, first.tags, first.description) == ("None", {"data": "2013"}, "one")
    client.update_model_version("Late flights", "1", "the first")
    client.set_model_version_tag("Late flights", "1", "checked", "yes")
    client.delete_model_version_tag("Late flights", "1", "data")
    client.set_registered_model_tag("Late flights", "tier", "2")
    client.delete_registered_model_tag("Late flights", "team")
    client.update_registered_model("Late flights", "more than 30 minutes late?")
    version = client.get_model_version("Late flights", "1")
    assert (version.description, version.tags) == ("the first", {"checked": "yes"})
    assert client.get_model_version_download_uri("Late flights", "1") == SOURCE
    model = client.get_registered_model("Late flights")
    assert (model.description, model.tags) == ("more than 30 minutes late?", {"tier": "2"})
    assert [one.version for one in model.latest_versions] == ["1"]
    assert model.creation_timestamp <= model.last_updated_timestamp
    found = client.search_model_versions("name = 'Late flights' AND tags.checked = 'yes'")
    assert [(one.version, one.description, one.tags) for one in found] == [("1", "the first", {"checked": "yes"})]


def test_versions_are_found_by_filter_order_and_page(client: MlflowClient) -> None:
    client.create_registered_model("found")
    for number in range(1, 8):
        parity = "even" if number % 2 == 0 else "odd"
        client.create_model_version("found", f"s3://m/{number}", run_id=f"run{number}", tags={"parity": parity})

    def versions(text: str, order: list[str] | None = None) -> list[int]:
        pages, token = [], None
        while True:
            page = client.search_model_versions(f"name='found' {text}", 2, order or ["version_number ASC"], token)
            pages += [int(one.version) for one in page]
            token = page.token
            if not token:
                return pages

    assert versions("") == [1, 2, 3, 4, 5, 6, 7]
    assert versions("", ["version_number DESC"]) == [7, 6, 5, 4, 3, 2, 1]
    assert versions("", ["last_updated_timestamp DESC"]) == [7, 6, 5, 4, 3, 2, 1]
    assert versions("and tags.`parity` = 'even'") == [2, 4, 6]
    assert versions("AND tags.parity != 'even' AND version_number > 1") == [3, 5, 7]
    assert versions("AND run_id IN ('run2', 'run5')") == [2, 5]
    assert versions("AND run_id = 'run3'") == [3]
    assert versions("AND source_path LIKE '%/4'") == [4]
    assert versions("AND source_path ILIKE 'S3://%' AND version_number <= 2") == [1, 2]
    assert versions("AND run_id != 'run3' AND run_id NOT IN ('run4', 'run5', 'run6', 'run7')") == [1, 2]
    assert [one.version for one in client.search_model_versions("run_id='run6'")] == ["6"]


def test_a_tags_value_finds_those_that_bear_it(client: MlflowClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the value, whoever else bears it, and whether they are few or many."""
    long = "v" * 5_000
    for name in ("Bearing", "Bearing too", "Other"):
        client.create_registered_model(name, tags={"where": "model"})
        for number in range(1, 5):
            value = long + "!" if number % 2 else long
            client.create_model_version(name, "s3://b", tags={"where": value if name != "Other" else "elsewhere"})
    client.set_model_version_tag("Bearing", "4", "where", "moved")

    def found(text: str, size: int = 100) -> list[tuple[str, str]]:
        versions, token = [], None
        while True:
            page = client.search_model_versions(text, size, ["name", "version_number"], token)
            versions += [(one.name, one.version) for one in page]
            if not (token := page.token):
                return versions

    everywhere = [("Bearing", "2"), ("Bearing too", "2"), ("Bearing too", "4")]
    for few in (1_000, 1):
        monkeypatch.setattr(tagged, "FEW", few)
        assert found(f"tags.where = '{long}'", 2) == everywhere
        assert found(f"tags.where = '{long}' AND name = 'Bearing too'") == everywhere[1:]
        assert found("tags.where = 'moved'") == [("Bearing", "4")]
        assert found("tags.where = 'nobody'") == found("tags.where = 'model'") == []
        models = client.search_registered_models("tags.where = 'model'")
        assert [one.name for one in models] == ["Bearing", "Bearing too", "Other"]
        assert list(client.search_registered_models("tags.where = 'moved'")) == []


def test_versions_without_a_run_or_a_description_have_empty_ones(client: MlflowClient) -> None:
    client.create_registered_model("Modèle (b+c)")
    made = client.create_model_version("Modèle (b+c)", "models:/m-0123456789abcdef0123456789abcdef")
    assert (made.run_id, made.description, made.source) == ("", "", "models:/m-0123456789abcdef0123456789abcdef")
    for text in ("run_id = ''", "run_id NOT IN ('x')", "run_id != 'x'", "run_id IN ('', 'x')"):
        found = client.search_model_versions(f"name = 'Modèle (b+c)' AND {text}")
        assert [(one.run_id, one.description) for one in found] == [("", "")], text


def test_models_are_found_by_name_tag_and_page(client: MlflowClient) -> None:
    for number in range(5):
        client.create_registered_model(f"page-{number}", tags={"kind": "a" if number < 3 else "b"})
    client.create_model_version("page-0", "s3://m/1")
    first = client.search_registered_models("name LIKE 'page-%'", max_results=2)
    second = client.search_registered_models("name LIKE 'page-%'", max_results=2, page_token=first.token)
    third = client.search_registered_models("name LIKE 'page-%'", max_results=2, page_token=second.token)
    assert [one.name for one in [*first, *second, *third]] == [f"page-{number}" for number in range(5)]
    assert not third.token
    assert [one.version for one in first[0].latest_versions] == ["1"]
    tagged = client.search_registered_models("tags.kind = 'b' AND name ILIKE 'PAGE%'", order_by=["name DESC"])
    assert [(one.name, one.tags) for one in tagged] == [("page-4", {"kind": "b"}), ("page-3", {"kind": "b"})]
    assert client.search_registered_models("name = 'page-9'") == []


def test_moving_champion_meets_the_gate_and_keeps_its_history(client: MlflowClient, address: str) -> None:
    native(address, "POST", "/v1/goals", name="warn", question="Will it be late?")
    native(address, "POST", "/v1/models", name="gated", goal="warn")
    client.create_model_version("gated", SOURCE)
    client.create_model_version("gated", SOURCE + "b")
    client.set_registered_model_alias("gated", "candidate", "1")
    with pytest.raises(MlflowException, match="evidence-quality") as closed:
        client.set_registered_model_alias("gated", "champion", "1")
    assert code(closed) == "RESOURCE_CONFLICT"
    open_gate(address, "gated", 1)
    client.set_registered_model_alias("gated", "champion", "1")
    assert client.get_model_version_by_alias("gated", "champion").version == "1"
    assert set(client.get_model_version("gated", "1").aliases) == {"candidate", "champion"}
    client.delete_registered_model_alias("gated", "champion")
    with pytest.raises(MlflowException, match="alias champion not found") as gone:
        client.get_model_version_by_alias("gated", "champion")
    assert code(gone) == "INVALID_PARAMETER_VALUE"
    assert client.get_model_version_by_alias("gated", "latest").version == "2"
    client.search_model_versions("name='gated'")  # waits until the views have seen the last write
    history = native(address, "GET", "/v1/models/gated/aliases/champion")
    assert [(one["before"], one["after"]) for one in history["items"]] == [(1, None), (None, 1)]


def test_stages_answer_as_mlflow_does_and_production_has_a_gate(client: MlflowClient, address: str) -> None:
    native(address, "POST", "/v1/goals", name="stage", question="Will it be late?")
    native(address, "POST", "/v1/models", name="staged", goal="stage")
    for _ in range(2):
        client.create_model_version("staged", SOURCE)
    with pytest.raises(MlflowException, match="stage Production needs an open gate"):
        client.transition_model_version_stage("staged", "1", "Production")
    for number in (1, 2):
        open_gate(address, "staged", number)
    assert client.transition_model_version_stage("staged", "1", "production").current_stage == "Production"
    assert client.transition_model_version_stage("staged", "2", "Production", True).current_stage == "Production"
    assert client.get_model_version("staged", "1").current_stage == "Archived"
    assert [one.version for one in client.get_latest_versions("staged", ["Production"])] == ["2"]
    with pytest.raises(MlflowException, match="stage") as unknown:
        client.transition_model_version_stage("staged", "2", "Live")
    assert code(unknown) == "INVALID_PARAMETER_VALUE"


def test_what_is_deleted_is_retired_and_stays_on_record(client: MlflowClient, address: str) -> None:
    client.create_registered_model("gone")
    for _ in range(2):
        client.create_model_version("gone", SOURCE)
    client.set_registered_model_alias("gone", "best", "1")
    client.delete_model_version("gone", "1")
    with pytest.raises(MlflowException, match="not found") as deleted:
        client.get_model_version("gone", "1")
    assert code(deleted) == "RESOURCE_DOES_NOT_EXIST"
    assert [one.version for one in client.search_model_versions("name='gone'")] == ["2"]
    assert client.get_registered_model("gone").aliases == {}
    assert "MLflow" in native(address, "GET", "/v1/models/gone/versions/1")["retired"]
    client.delete_registered_model("gone")
    with pytest.raises(MlflowException, match="not found"):
        client.get_registered_model("gone")
    assert client.search_registered_models("name='gone'") == []
    client.create_registered_model("gone")
    assert client.create_model_version("gone", SOURCE).version == "3"


def test_errors_have_mlflows_codes(client: MlflowClient, address: str) -> None:
    client.create_registered_model("once")
    with pytest.raises(MlflowException) as twice:
        client.create_registered_model("once")
    assert code(twice) == "RESOURCE_ALREADY_EXISTS"
    with pytest.raises(MlflowException) as unknown:
        client.create_model_version("nobody", SOURCE)
    assert code(unknown) == "RESOURCE_DOES_NOT_EXIST"
    for version in ("0", "-1", "9"):
        with pytest.raises(MlflowException) as none:
            client.get_model_version("once", version)
        assert code(none) == "RESOURCE_DOES_NOT_EXIST"
    with pytest.raises(MlflowException, match="keeps its name") as renamed:
        client.rename_registered_model("once", "twice")
    assert code(renamed) == "INVALID_PARAMETER_VALUE"
    for text in ("nme = 'x'", "name = x", "name ~ 'x'", "name = 'x' OR name = 'y'", "tags.a > 'b'", "name = 'x' AND"):
        with pytest.raises(MlflowException) as bad:
            client.search_registered_models(text)
        assert code(bad) == "INVALID_PARAMETER_VALUE", text
    with pytest.raises(MlflowException) as order:
        client.search_registered_models(order_by=["size ASC"])
    assert code(order) == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException) as token:
        client.search_registered_models(page_token="nonsense")
    assert code(token) == "INVALID_PARAMETER_VALUE"
    with pytest.raises(MlflowException) as reserved:
        client.set_registered_model_alias("once", "v1", "1")
    assert code(reserved) == "INVALID_PARAMETER_VALUE"
    answer = httpx.post(f"{address}/api/2.0/mlflow/runs/create", json={}, timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (404, "ENDPOINT_NOT_FOUND")
    answer = httpx.post(f"{address}/api/2.0/mlflow/registered-models/create", json={"tags": []}, timeout=60)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "INVALID_PARAMETER_VALUE")


def test_rights_may_leave_champion_out(address: str, client: MlflowClient) -> None:
    client.create_registered_model("kept")
    client.create_model_version("kept", SOURCE)
    engineer = {"X-Actor": "sam", "X-Roles": "software_engineer"}
    alias = f"{address}/api/2.0/mlflow/registered-models/alias"
    body = {"name": "kept", "version": "1"}
    assert httpx.post(alias, json=body | {"alias": "candidate"}, headers=engineer, timeout=60).status_code == 200
    refused = httpx.post(alias, json=body | {"alias": "champion"}, headers=engineer, timeout=60)
    assert (refused.status_code, refused.json()["error_code"]) == (403, "PERMISSION_DENIED")
    native = f"{address}/v1/models/kept/aliases/champion"
    native_way = httpx.put(native, json={"version": 1}, headers=engineer, timeout=60)
    assert (native_way.status_code, native_way.json()["type"]) == (403, "urn:muniment:problem:alias-not-allowed")
    removed = httpx.request("DELETE", alias, json={"name": "kept", "alias": "champion"}, headers=engineer, timeout=60)
    assert removed.status_code == 403


def test_prompts_are_found_only_by_whoever_asks_for_them(client: MlflowClient) -> None:
    client.register_prompt("greeting", "Good morning, {{name}}.")
    assert client.search_registered_models("name = 'greeting'") == []
    found = client.search_registered_models("tags.`mlflow.prompt.is_prompt` = 'true'")
    assert [one.name for one in found] == ["greeting"]
    assert client.load_prompt("greeting", 1).template == "Good morning, {{name}}."


def test_the_digest_given_as_a_tag_is_the_artifacts(client: MlflowClient, address: str) -> None:
    client.create_registered_model("digest")
    client.create_model_version("digest", SOURCE, tags={"sha256": "AB" * 32})
    assert native(address, "GET", "/v1/models/digest/versions/1")["artifact"]["sha256"] == "ab" * 32
    with pytest.raises(MlflowException, match="64 hexadecimal"):
        client.create_model_version("digest", SOURCE, tags={"sha256": "ab"})


def test_a_version_is_copied_with_its_artifact(client: MlflowClient, address: str) -> None:
    client.create_registered_model("from")
    client.create_model_version("from", SOURCE, tags={"sha256": "ab" * 32})
    client.set_registered_model_alias("from", "best", "1")
    copied = client.copy_model_version("models:/from/1", "to")
    assert (copied.name, copied.version, copied.tags["sha256"]) == ("to", "1", "ab" * 32)
    assert client.get_model_version_download_uri("to", "1") == SOURCE
    client.create_model_version("to", "models:/from@best")
    artifact = native(address, "GET", "/v1/models/to/versions/2")["artifact"]
    assert (artifact["uri"], artifact["sha256"]) == (SOURCE, "ab" * 32)
    for wrong in ("models:/from/9", "models:/nobody/1", "models:/from@worst"):
        with pytest.raises(MlflowException) as unknown:
            client.create_model_version("to", wrong)
        assert code(unknown) == "RESOURCE_DOES_NOT_EXIST"


def test_a_key_opens_as_a_token_or_a_password_and_errors_say_unauthenticated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    key = add_key(tmp_path / "keys", "grace", [Role.DATA_SCIENTIST])
    with served(DEFINITION, tmp_path, api_keys=tmp_path / "keys") as address:
        client = MlflowClient(tracking_uri=address, registry_uri=address)
        with pytest.raises(MlflowException) as nobody:
            client.create_registered_model("keyed")
        assert code(nobody) == "UNAUTHENTICATED"
        monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", key)
        assert client.create_registered_model("keyed").name == "keyed"
        monkeypatch.delenv("MLFLOW_TRACKING_TOKEN")
        monkeypatch.setenv("MLFLOW_TRACKING_USERNAME", "anybody")
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", key)
        assert client.create_model_version("keyed", SOURCE).version == "1"
        but_champion = add_key(tmp_path / "keys", "ci", [Role.ADMIN], ["champion"])
        monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", but_champion)
        client.set_registered_model_alias("keyed", "candidate", "1")
        with pytest.raises(MlflowException, match="may move aliases, but not 'champion'") as kept:
            client.set_registered_model_alias("keyed", "champion", "1")
        assert code(kept) == "PERMISSION_DENIED"


def test_bodies_have_a_limit(tmp_path: Path) -> None:
    with served(DEFINITION, tmp_path, max_body_bytes=2_000) as address:
        body = json.dumps({"name": "x" * 3_000})
        answer = httpx.request("DELETE", f"{address}/api/2.0/mlflow/registered-models/delete", content=body, timeout=60)
        assert answer.status_code == 413
