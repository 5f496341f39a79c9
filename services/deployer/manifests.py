"""Manifests of a version, for whoever runs it elsewhere: KServe and Docker Compose, both with Triton.

Sources: KServe v1beta1 InferenceService; Compose Specification (deploy); Triton's model repository,
MODEL/VERSION/model.onnx.
"""

import json
import re
from typing import Any

from shared.events.deployer import Resources
from shared.events.registry import Artifact

TRITON = "nvcr.io/nvidia/tritonserver:25.04-py3"
HTTP_PORT = 8000
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "y", "n"))


def kserve(name: str, model: str, version: int, artifact: Artifact, resources: Resources) -> dict[str, Any]:
    """An InferenceService; KServe fetches the artifact from its uri."""
    given = _quantities(resources)
    predictor: dict[str, Any] = {
        "minReplicas": resources.replicas,
        "model": {
            "modelFormat": {"name": "onnx"},
            "protocolVersion": "v2",
            "storageUri": artifact.uri,
            "resources": {"requests": given, "limits": given},
        },
    }
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
    """A Compose file of one Triton server with the model mounted where it looks for models."""
    limits: dict[str, str] = {}
    if resources.cpu is not None:
        limits["cpus"] = f"{resources.cpu:g}"
    if resources.memory_mib is not None:
        limits["memory"] = f"{resources.memory_mib:g}M"
    service: dict[str, Any] = {
        "image": TRITON,
        "command": ["tritonserver", "--model-repository=/models"],
        "ports": [str(HTTP_PORT)],
        "volumes": [
            {
                "type": "bind",
                "source": artifact.uri.removeprefix("file://"),
                "target": f"/models/{name}/{version}/model.onnx",
                "read_only": True,
            }
        ],
        "labels": {"muniment.model": model, "muniment.version": str(version), "muniment.sha256": artifact.sha256},
        "healthcheck": {"test": ["CMD", "curl", "-f", f"http://localhost:{HTTP_PORT}/v2/health/ready"]},
        "deploy": {"replicas": resources.replicas, "resources": {"limits": limits}},
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
    """The name as Kubernetes takes one (RFC 1123)."""
    return re.sub(r"[^a-z0-9-]+", "-", name.lower()).strip("-")[:63].strip("-") or "model"


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
        given["cpu"] = f"{round(resources.cpu * 1000)}m"
    if resources.memory_mib is not None:
        given["memory"] = f"{round(resources.memory_mib)}Mi"
    return given
