"""Manifests of a version, for whoever runs it elsewhere: KServe and Docker Compose, both with Triton.

Sources: KServe v1beta1 InferenceService (a predictor's `command` replaces its runtime's, whose arguments then follow
it); Compose Specification (deploy); Triton's model repository, MODEL/VERSION/model.onnx.
"""

import json
import math
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from shared.events.deployer import Resources
from shared.events.registry import Artifact

TRITON = "nvcr.io/nvidia/tritonserver:25.04-py3"
HTTP_PORT = 8000
MODELS = "/tmp/models"  # noqa: S108  in the container, whoever runs it may write there
PREPARE = """\
import hashlib, os, sys, zipfile
source, target, digest, *server = sys.argv[1:]
if os.path.isdir(source):
    source = os.path.join(source, sorted(os.listdir(source))[0])
with open(source, 'rb') as file:
    data = file.read()
if hashlib.sha256(data).hexdigest() != digest:
    sys.exit(source + ' is not the artifact that was registered')
if data.startswith(b'PK'):
    with zipfile.ZipFile(source) as bundle:
        data = bundle.read('model.onnx')
os.makedirs(os.path.dirname(target), exist_ok=True)
with open(target, 'wb') as file:
    file.write(data)
server = server[:server.index('--')]
os.execvp(server[0], server)
"""
"""Run in the container: puts the model where Triton looks for it, out of its bundle where it lies in one, and only if
its bytes are those registered; then the server takes over. No dollar sign, since Compose would read one."""


class NoManifest(Exception):
    """Why a version cannot be run so."""


_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


def kserve(name: str, model: str, version: int, artifact: Artifact, resources: Resources) -> dict[str, Any]:
    """An InferenceService; KServe fetches the artifact from its uri. Raises NoManifest."""
    _elsewhere(version, artifact)
    given = _quantities(resources)
    server = ["tritonserver", f"--model-repository={MODELS}", "--http-port=8080", "--grpc-port=9000"]
    served: dict[str, Any] = {
        "modelFormat": {"name": "onnx"},
        "protocolVersion": "v2",
        "runtime": "kserve-tritonserver",
        "storageUri": artifact.uri if urlsplit(artifact.uri).scheme else Path(artifact.uri).absolute().as_uri(),
        "command": _prepared("/mnt/models", name, version, artifact, server),
    }
    if given:
        served["resources"] = {"requests": given, "limits": given}
    predictor: dict[str, Any] = {"minReplicas": resources.replicas, "model": served}
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {
            "name": dns_label(name),
            "labels": {"app.kubernetes.io/managed-by": "muniment"},
            "annotations": {
                "muniment/deployment": name,
                "muniment/model": model,
                "muniment/version": str(version),
                "muniment/sha256": artifact.sha256,
            },
        },
        "spec": {"predictor": predictor},
    }


def compose(name: str, model: str, version: int, artifact: Artifact, resources: Resources) -> dict[str, Any]:
    """A Compose file of one Triton server with the model mounted where it looks for models. Raises NoManifest."""
    _elsewhere(version, artifact)
    path = _path(version, artifact)
    limits: dict[str, str] = {}
    if resources.cpu is not None:
        limits["cpus"] = f"{resources.cpu:.10g}"
    if resources.memory_mib is not None:
        limits["memory"] = f"{math.ceil(resources.memory_mib)}M"
    plain = path.endswith(".onnx")
    place = f"/models/{name}/{version}/model.onnx" if plain else "/artifact"
    server = ["tritonserver", f"--model-repository={'/models' if plain else MODELS}"]
    service: dict[str, Any] = {
        "image": TRITON,
        "command": server if plain else _prepared(place, name, version, artifact, server),
        "ports": [str(HTTP_PORT)],
        "volumes": [{"type": "bind", "source": path, "target": place, "read_only": True}],
        "labels": {"muniment.model": model, "muniment.version": str(version), "muniment.sha256": artifact.sha256},
        "healthcheck": {"test": ["CMD", "curl", "-f", f"http://localhost:{HTTP_PORT}/v2/health/ready"]},
        "deploy": {"replicas": resources.replicas} | ({"resources": {"limits": limits}} if limits else {}),
    }
    return {"services": {dns_label(name): service}}


def yaml(content: Any, indent: int = 0) -> str:
    """YAML 1.2 of objects, lists, texts and numbers; what could be read as something else is quoted."""
    pad = " " * indent
    if isinstance(content, dict) and content:
        return "".join(f"{pad}{_scalar(key)}:{_value(value, indent)}" for key, value in content.items())
    if isinstance(content, list) and content:
        lines = [yaml(one, indent + 2) for one in content]
        return "".join(f"{pad}- {line[indent + 2 :]}" for line in lines)
    return f"{pad}{_scalar(content)}\n"


def dns_label(name: str) -> str:
    """The name as Kubernetes takes one of a service (RFC 1035)."""
    label = re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")
    label = label if label[:1].isalpha() else f"model-{label}"
    return label[:63].strip("-")


def _prepared(source: str, name: str, version: int, artifact: Artifact, server: list[str]) -> list[str]:
    target = f"{MODELS}/{name}/{version}/model.onnx"
    return ["python3", "-c", PREPARE, source, target, artifact.sha256.lower(), *server, "--"]


def _elsewhere(version: int, artifact: Artifact) -> None:
    if artifact.uri.startswith("external:"):
        raise NoManifest(f"version {version} is served elsewhere ({artifact.uri}), and its file is not known here")


def _path(version: int, artifact: Artifact) -> str:
    """The file to mount; a path that is relative stays so, to where the Compose file lies."""
    parts = urlsplit(artifact.uri)
    if parts.scheme not in ("", "file"):
        raise NoManifest(f"Compose mounts files of its machine, and version {version} lies at {artifact.uri}")
    path = unquote(parts.path) if parts.scheme else artifact.uri
    return path if path.startswith(("/", "./", "../")) else f"./{path}"


def _value(value: Any, indent: int) -> str:
    if isinstance(value, dict | list) and value:
        return "\n" + yaml(value, indent + 2)
    return f" {_scalar(value)}\n"


def _scalar(value: Any) -> str:
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in _WORDS:
        return value
    return json.dumps(value)


def _quantities(resources: Resources) -> dict[str, str]:
    given: dict[str, str] = {}
    if resources.cpu is not None:
        given["cpu"] = f"{math.ceil(resources.cpu * 1000)}m"
    if resources.memory_mib is not None:
        given["memory"] = f"{math.ceil(resources.memory_mib)}Mi"
    return given
