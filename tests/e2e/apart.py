"""The same system as ten processes on Kafka: an API and a worker for each service, any of which may be killed."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from devstack.postgres import PostgresServer
from devstack.processes import free_port
from devstack.valkey import ValkeyServer
from muniment.demo.settings import SETTINGS
from shared.events.catalog import SERVICES

READY_SECONDS = 300.0
STOP_SECONDS = 120.0

Name = tuple[str, str]
"""(service, role)."""


@dataclass(slots=True)
class Apart:
    """`urls`: the base URL of each service's API."""

    folder: Path
    environment: dict[str, str]
    ports: dict[Name, int] = field(default_factory=dict[Name, int])
    processes: "dict[Name, subprocess.Popen[bytes]]" = field(default_factory=dict)

    @property
    def urls(self) -> dict[str, str]:
        return {service: f"http://127.0.0.1:{self.ports[service, 'api']}" for service in SERVICES}

    def start(self) -> None:
        """Start all ten and wait until each is ready."""
        for name in [(service, role) for service in SERVICES for role in ("api", "worker")]:
            self.ports[name] = free_port()
            self.launch(name)
        for name in self.processes:
            self.until_ready(name)

    def launch(self, name: Name) -> None:
        """Start one process, without waiting."""
        service, role = name
        own = {"MUNIMENT_PORT": str(self.ports[name]), "MUNIMENT_DATA_DIR": str(self.folder / f"{service}-{role}")}
        with (self.folder / f"{service}-{role}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", f"services.{service}", role], stdout=log, stderr=log, env=self.environment | own
            )

    def kill(self, name: Name) -> None:
        """SIGKILL, and start it again as an orchestrator would."""
        self.processes[name].kill()
        self.processes[name].wait()
        self.launch(name)

    def until_ready(self, name: Name) -> None:
        deadline, said = time.monotonic() + READY_SECONDS, ""
        while time.monotonic() < deadline:
            if self.processes[name].poll() is not None:
                raise AssertionError(f"{name} ended: {self.output(name)}")
            try:
                answer = httpx.get(f"http://127.0.0.1:{self.ports[name]}/health/ready", timeout=5)
            except httpx.TransportError as error:
                said = str(error)
            else:
                if answer.is_success:
                    return
                said = answer.text
            time.sleep(0.1)
        raise AssertionError(f"{name} is not ready: {said}\n{self.output(name)}")

    def output(self, name: Name) -> str:
        return (self.folder / f"{name[0]}-{name[1]}.log").read_text(errors="replace")[-4_000:]

    def stop(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def apart(folder: Path, kafka: str) -> Iterator[Apart]:
    """Ten processes on a given Kafka and a PostgreSQL and Valkey of their own."""
    database, cache = PostgresServer(folder / "postgres"), ValkeyServer(folder / "valkey")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUNIMENT_")}
    environment |= SETTINGS | {"MUNIMENT_KAFKA": kafka, "MUNIMENT_POSTGRES": database.dsn, "MUNIMENT_REDIS": cache.url}
    environment["MUNIMENT_KAFKA_SESSION_SECONDS"] = "3"  # so that who follows one that died need not wait long
    try:
        database.start()
        cache.start()
        system = Apart(folder, environment)
        try:
            system.start()
            yield system
        finally:
            system.stop()
    finally:
        cache.stop()
        database.stop()
