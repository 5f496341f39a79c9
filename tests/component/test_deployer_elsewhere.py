"""What somebody else deployed, manifests for them, and what serving took."""

import hashlib
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.deployer import manifests
from services.deployer.service import DEFINITION
from shared.events.deployer import Resources
from shared.events.registry import Artifact
from shared.models.bundles import packed
from tests.component.deployer_given import deploy, flights, registered, set_traffic
from tests.support import System, running

PATH = "/v1/deployments/late"
BODY = {"model": "late-flights", "version": 1, "environment": "production"}


@pytest.fixture
async def system(tmp_path: Path) -> AsyncIterator[System]:
    async with running(DEFINITION) as system:
        await registered(system, tmp_path, 3, closed=3)
        yield system


async def report(system: System, status: int = 200, **changed: Any) -> dict[str, Any]:
    answer = await system.client.put(PATH, json=BODY | changed)
    assert answer.status_code == status, answer.text
    await system.settle()
    return answer.json()


async def types(system: System) -> list[str]:
    return [one["type"] for one in reversed((await system.client.get(PATH)).json()["history"])]


async def test_a_pipeline_reports_what_it_deployed_as_often_as_it_likes(system: System) -> None:
    assert (await report(system))["type"] == "Deployed"
    assert (await report(system))["events"] == []
    assert (await report(system, version=2, reason="build 7"))["traffic"]["champion"] == 2
    told = await report(system, version=2, resources={"cpu": 2, "memory_mib": 512, "replicas": 3, "cost_per_hour": 0.4})
    assert told["type"] == "ResourcesDeclared"
    found = (await system.client.get(PATH)).json()
    assert (found["champion"], found["runtime"]["kind"], found["resources"]["replicas"]) == (2, "external", 3)
    assert await types(system) == ["Deployed", "TrafficChanged"]
    assert (await system.client.post(f"{PATH}/rollback")).json()["traffic"]["champion"] == 1


async def test_a_closed_gate_and_what_does_not_fit_fail_the_pipelines_step(system: System) -> None:
    closed = await report(system, 409, version=3)
    assert (closed["type"].rpartition(":")[2], closed["versions"]) == ("gate-closed", [3])
    await report(system)
    assert (await report(system, 409, version=3))["versions"] == [3]
    differing = await report(system, 409, environment="staging", runtime={"kind": "onnx"})
    assert differing["differing"] == ["environment", "runtime"]
    assert (await report(system, 404, version=9))["nearby"]
    assert (await report(system, 404, model="late-flight"))["nearby"] == ["late-flights"]
    answer = await system.client.put("/v1/deployments/a b", json=BODY)
    assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (422, "bad-name")


async def test_a_report_ends_challengers_and_keeps_shadows(system: System) -> None:
    await deploy(system)
    await set_traffic(system, 1, shadows=[2])
    await system.settle()
    assert (await report(system, runtime={"kind": "onnx"}))["events"] == []
    traffic = (await report(system, runtime={"kind": "onnx"}, version=2))["traffic"]
    assert (traffic["champion"], traffic["challengers"], traffic["shadows"]) == (2, [], [])


async def test_kserve_and_compose_get_a_manifest_of_the_version(system: System) -> None:
    await report(system, resources={"cpu": 0.5, "memory_mib": 256, "replicas": 2})
    answer = await system.client.get(f"{PATH}/manifest")
    assert answer.headers["content-type"].startswith("application/yaml")
    service = yaml.safe_load(answer.text)
    assert (service["kind"], service["metadata"]["name"]) == ("InferenceService", "late")
    assert service["metadata"]["annotations"]["muniment/version"] == "1"
    predictor = service["spec"]["predictor"]
    assert (predictor["minReplicas"], predictor["model"]["protocolVersion"]) == (2, "v2")
    assert predictor["model"]["resources"]["limits"] == {"cpu": "500m", "memory": "256Mi"}
    composed = yaml.safe_load((await system.client.get(f"{PATH}/manifest?format=compose&version=2")).text)
    late = composed["services"]["late"]
    assert late["volumes"][0]["target"] == "/models/late/2/model.onnx"
    assert late["deploy"] == {"replicas": 2, "resources": {"limits": {"cpus": "0.5", "memory": "256M"}}}
    assert (await system.client.get(f"{PATH}/manifest?version=9")).status_code == 404
    assert (await system.client.get(f"{PATH}/manifest?format=helm")).status_code == 422
    assert (await system.client.get("/v1/deployments/nobody/manifest")).status_code == 404


def placed(uri: str, data: bytes = b"") -> Artifact:
    return Artifact(uri=uri, sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(
    ("uri", "kserve", "compose"),
    [
        ("/models/late.onnx", "file:///models/late.onnx", "/models/late.onnx"),
        ("file:///of%20us/late.onnx", "file:///of%20us/late.onnx", "/of us/late.onnx"),
        ("s3://bucket/late.onnx", "s3://bucket/late.onnx", None),
        ("external:elsewhere", None, None),
    ],
)
def test_a_manifest_tells_where_the_file_is_or_there_is_none(uri: str, kserve: str | None, compose: str | None) -> None:
    about = ("late", "late-flights", 1, placed(uri), Resources())
    if kserve is None:
        with pytest.raises(manifests.NoManifest):
            manifests.kserve(*about)
    else:
        assert manifests.kserve(*about)["spec"]["predictor"]["model"]["storageUri"] == kserve
    if compose is None:
        with pytest.raises(manifests.NoManifest):
            manifests.compose(*about)
    else:
        assert manifests.compose(*about)["services"]["late"]["volumes"][0]["source"] == compose


@pytest.mark.parametrize("bundled", [False, True])
def test_what_the_container_runs_puts_the_model_in_its_place(tmp_path: Path, bundled: bool) -> None:
    model = b"the model"
    data = packed({"model.onnx": model}, {}) if bundled else model
    source = tmp_path / "fetched" / "late.mbundle"
    source.parent.mkdir()
    source.write_bytes(data)
    served = manifests.kserve("late", "m", 1, placed("s3://b/late.mbundle", data), Resources())["spec"]["predictor"]
    _, _, script, _, target, digest, *server = served["model"]["command"]
    assert (target, server[0], server[-1]) == (f"{manifests.MODELS}/late/1/model.onnx", "tritonserver", "--")
    here = str(tmp_path / "models" / "1" / "model.onnx")
    started = [sys.executable, "-c", "import sys; print(sys.argv[1:])", "started", "--", "arguments of the runtime"]
    command = [sys.executable, "-c", script, str(source.parent), here]
    ran = subprocess.run([*command, digest, *started], capture_output=True, text=True, check=True)
    assert (ran.stdout.strip(), Path(here).read_bytes()) == ("['started']", model)
    other = subprocess.run([*command, "0" * 64, *started], capture_output=True, text=True, check=False)
    assert (other.returncode, other.stdout) == (1, "")
    assert "is not the artifact" in other.stderr


@pytest.mark.parametrize(
    "content",
    [
        {"a": {"b": [1, 2.5, {"c": "d", "e": ["f", {"g": None}]}], "h": {}}, "i": []},
        {"true": "yes", "n": "null", "x": "1.0", "y": "- a: b", "z": "two\nlines", "é": "Ω # no comment", "e": ""},
        {"list": [["nested", "lists"], [True, False]], "url": "s3://bucket/a:b"},
    ],
)
def test_what_is_written_as_yaml_reads_as_it_was(content: dict[str, Any]) -> None:
    assert yaml.safe_load(manifests.yaml(content)) == content


@pytest.mark.parametrize(
    ("name", "label"),
    [("Late.Arrivals_2", "late-arrivals-2"), ("___", "model"), ("a" * 80, "a" * 63), ("2nd.try", "model-2nd-try")],
)
def test_names_become_labels(name: str, label: str) -> None:
    assert manifests.dns_label(name) == label


async def test_what_serving_took_is_told_by_version(system: System) -> None:
    await deploy(system)
    await set_traffic(system, 1, (2, 50.0))
    rows = [(float(row), 1.0) for row in range(100)]
    assert (await system.client.post("/v2/models/late/infer", json=flights(*rows))).status_code == 200
    await system.settle()
    measured = (await system.client.get(PATH)).json()["measured"]
    assert {one["version"] for one in measured["versions"]} == {1, 2}
    assert sum(one["rows"] for one in measured["versions"]) == 100
    assert all(one["seconds"] > 0 and one["requests"] == 1 for one in measured["versions"])
    assert measured["process"]["peak_memory_mib"] > 10
