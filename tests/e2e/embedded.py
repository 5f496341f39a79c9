"""A `muniment up` of its own process, for tests that stop, kill and start it again."""

import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from devstack.processes import free_port
from muniment.demo.settings import SETTINGS

READY_SECONDS = 240.0
STOP_SECONDS = 120.0
PATIENT = {"MUNIMENT_MAX_WAIT_SECONDS": "25"}
"""Who reads `after` a write waits nearly as long as a client does."""


@dataclass(slots=True)
class Embedded:
    """The embedded system on one data folder; `output` is what it wrote since the last start."""

    folder: Path
    port: int = field(default_factory=free_port)
    environment: dict[str, str] = field(default_factory=dict[str, str])
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def launch(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """Start without waiting."""
        command = [sys.executable, "-m", "muniment", "up", "--port", str(self.port), "--data-dir", str(self.folder)]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *arguments],
                stdout=log,
                stderr=log,
                env=_environment() | PATIENT | SETTINGS | self.environment,
            )
        return self.process

    def start(self) -> float:
        """Start and wait until it is ready, by its own word and by its answer; returns the seconds that took."""
        started = time.monotonic()
        process = self.launch()
        while True:
            try:
                if "is ready at" in self.output() and httpx.get(f"{self.url}/health/ready", timeout=5).is_success:
                    return time.monotonic() - started
            except httpx.TransportError:
                pass
            if process.poll() is not None or time.monotonic() - started > READY_SECONDS:
                raise AssertionError(f"not ready: {self.output()}")
            time.sleep(0.05)

    def stop(self, word: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; returns the exit code."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(word)
        return self.process.wait(STOP_SECONDS)

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(STOP_SECONDS)

    def output(self) -> str:
        return self._log.read_text(errors="replace")

    def __enter__(self) -> "Embedded":
        return self

    def __exit__(self, *details: Any) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop()

    @property
    def _log(self) -> Path:
        return self.folder.parent / f"{self.folder.name}-{self.port}.log"


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("MUNIMENT_")}
