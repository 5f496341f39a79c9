"""docker-compose.yml and Dockerfile name only what exists: ten processes, real settings, real extras."""

import re
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from muniment.routes import urls_of
from shared.events.catalog import SERVICES
from shared.runtime.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
OURS = {name: value for name, value in COMPOSE["services"].items() if "build" in value and name != "console"}
CONSOLE: dict[str, Any] = COMPOSE["services"]["console"]
STORES = {"kafka", "postgres", "valkey"}


def test_every_service_runs_as_api_and_as_worker_of_its_own_image() -> None:
    assert set(OURS) == {f"{service}-{role}" for service in SERVICES for role in ("api", "worker")}
    for name, container in OURS.items():
        service, role = name.split("-")
        assert container["build"]["args"] == {"SERVICE": service}
        assert container["command"] == [role]
        assert container["image"] == f"muniment-{service}"


@pytest.mark.parametrize("service", SERVICES)
def test_every_image_has_a_module_to_run_and_an_extra_to_install(service: str) -> None:
    assert find_spec(f"services.{service}.__main__") is not None
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert service in extras


def test_every_variable_is_a_setting() -> None:
    text = (ROOT / "Dockerfile").read_text()
    named = set(re.findall(r"\b(MUNIMENT_[A-Z_]+)=", text))
    for container in (*OURS.values(), CONSOLE):
        named |= {name for name in container["environment"] if name.startswith("MUNIMENT_")}
    assert {"MUNIMENT_KAFKA", "MUNIMENT_POSTGRES", "MUNIMENT_REDIS", "MUNIMENT_HOST"} <= named
    assert {name.removeprefix("MUNIMENT_").lower() for name in named} <= set(Settings.model_fields)


def test_services_wait_for_stores_that_tell_their_health() -> None:
    assert set(COMPOSE["services"]) == set(OURS) | STORES | {"console"}
    for container in OURS.values():
        assert container["depends_on"] == {store: {"condition": "service_healthy"} for store in STORES}
    for store in STORES:
        assert COMPOSE["services"][store]["healthcheck"]["test"][0] == "CMD"


def test_published_ports_are_loopback_and_differ() -> None:
    ports = [port for container in (*OURS.values(), CONSOLE) for port in container.get("ports", [])]
    assert len(ports) == len(set(ports)) == len(SERVICES) + 1
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_volumes_named_are_declared() -> None:
    mounted = {
        volume.split(":")[0] for container in COMPOSE["services"].values() for volume in container.get("volumes", [])
    }
    assert {volume for volume in mounted if not volume.startswith("./")} == set(COMPOSE["volumes"])


def test_the_console_knows_every_service_by_the_name_of_its_container() -> None:
    urls = urls_of(CONSOLE["environment"]["MUNIMENT_CONSOLE_SERVICES"])
    assert urls == {service: f"http://{service}-api:8080" for service in SERVICES}
    assert {f"{service}-api" for service in SERVICES} <= set(OURS)
    assert f"AS {CONSOLE['build']['target']}\n" in (ROOT / "Dockerfile").read_text()
    assert find_spec("console.__main__") is not None
