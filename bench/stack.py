"""Kafka, PostgreSQL and Valkey for one measurement, and processes beside them; all end with the measurement."""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from devstack import processes
from devstack.kafka import KafkaBroker
from devstack.postgres import PostgresServer
from devstack.valkey import ValkeyServer
from shared.runtime.settings import Settings


@dataclass(slots=True)
class Stack:
    """What a measurement runs on. `settings` name the three servers and are otherwise the defaults."""

    folder: Path
    settings: Settings
    closing: ExitStack

    def process(
        self,
        name: str,
        arguments: Sequence[str],
        python: str = sys.executable,
        more: Mapping[str, str] | None = None,
        seconds: float = 60.0,
    ) -> int:
        """Start `python ARGUMENTS` with a port of its own in MUNIMENT_PORT, and with `more` in its environment; returns
        the port once it listens. Raises NotReady after `seconds`."""
        port = processes.free_port()
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MUNIMENT_")}
        environment |= {
            "MUNIMENT_KAFKA": self.settings.kafka,
            "MUNIMENT_POSTGRES": self.settings.postgres,
            "MUNIMENT_REDIS": self.settings.redis,
            "MUNIMENT_DATA_DIR": str(self.folder / name),
            "MUNIMENT_PORT": str(port),
        }
        environment |= more or {}
        self.closing.callback(processes.stop, self.folder, name)
        processes.launch(self.folder, name, [python, *arguments], env=environment)
        processes.wait_for_port(self.folder, name, port, seconds)
        return port

    def cpu(self, name: str) -> float:
        """Seconds of CPU that a process started here has used, with the processes that it started."""
        pid = processes.running(self.folder, name)
        if pid is None:
            raise processes.NotReady(f"{name} has ended")
        first = psutil.Process(pid)
        used = [process.cpu_times() for process in (first, *first.children(recursive=True))]
        return sum(times.user + times.system for times in used)


@contextmanager
def stack() -> Iterator[Stack]:
    """Fresh servers in a temporary folder. Raises CannotPrepare, NotReady."""
    with (
        tempfile.TemporaryDirectory(prefix="bench", dir="/tmp", ignore_cleanup_errors=True) as name,
        ExitStack() as closing,
    ):
        folder = Path(name)
        broker = KafkaBroker(folder / "kafka")
        database, cache = PostgresServer(folder / "postgres"), ValkeyServer(folder / "valkey")
        for server in (broker, database, cache):
            closing.callback(server.stop)
            server.start()
        settings = Settings(kafka=broker.address, postgres=database.dsn, redis=cache.url, data_dir=folder / "data")
        yield Stack(folder, settings, closing)
