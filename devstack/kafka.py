"""One Kafka broker and controller in one process (KRaft), from Maven's jars."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

from devstack import processes
from devstack.prepare import HERE, kafka_jars

NAME = "kafka"
CLUSTER_ID = "bXVuaW1lbnQtZGV2c3RhY2"
HEAP = "-Xmx512m"
_JVM = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=4", "-Xshare:auto", "-Djava.awt.headless=true")
_FORMAT_JVM = ("-Xmx128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")


class KafkaBroker:
    """A broker whose files live in `folder`; a second start finds its data again."""

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder.resolve()
        self.port = port or processes.free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._properties = self.folder / "server.properties"

    def start(self) -> None:
        """Format the storage where needed, start, and wait until the broker listens. Raises NotReady, CannotPrepare."""
        jars = f"{kafka_jars()}/*"
        self.folder.mkdir(parents=True, exist_ok=True)
        self._properties.write_text(processes.properties(self._settings()))
        logging = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        java = shutil.which("java") or "java"
        if not (self.folder / "data" / "meta.properties").exists():
            tool = ["kafka.tools.StorageTool", "format", "-t", CLUSTER_ID, "-c", str(self._properties)]
            command = [java, *_FORMAT_JVM, logging, "-cp", jars, *tool]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise processes.NotReady(f"Kafka could not format its storage:\n{done.stdout}{done.stderr}")
        command = [java, HEAP, *_JVM, logging, "-cp", jars, "kafka.Kafka", str(self._properties)]
        processes.launch(self.folder, NAME, command)
        processes.wait_for_port(self.folder, NAME, self.port)

    def stop(self) -> None:
        processes.stop(self.folder, NAME)

    def kill(self) -> None:
        """SIGKILL, as a machine that loses power (but for the page cache)."""
        processes.stop(self.folder, NAME, signal.SIGKILL)

    def _settings(self) -> dict[str, object]:
        controller = self._controller_port()
        return {
            "process.roles": "broker,controller",
            "node.id": 1,
            "controller.quorum.voters": f"1@127.0.0.1:{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "inter.broker.listener.name": "PLAINTEXT",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": self.folder / "data",
            "auto.create.topics.enable": "false",
            "message.max.bytes": 32 * 2**20,
            "offsets.topic.replication.factor": 1,
            "offsets.topic.num.partitions": 4,
            "transaction.state.log.replication.factor": 1,
            "transaction.state.log.min.isr": 1,
            "transaction.state.log.num.partitions": 1,
            "share.coordinator.state.topic.replication.factor": 1,
            "share.coordinator.state.topic.min.isr": 1,
            "group.initial.rebalance.delay.ms": 0,
            "group.min.session.timeout.ms": 1_000,
        }

    def _controller_port(self) -> int:
        """Kept in a file: voters are fixed when the storage is formatted."""
        kept = self.folder / "controller.port"
        if not kept.exists():
            kept.write_text(str(processes.free_port()))
        return int(kept.read_text())


def docker_answers() -> bool:
    """Whether a Docker engine runs here."""
    if shutil.which("docker") is None or os.environ.get("MUNIMENT_NO_DOCKER"):
        return False
    try:
        done = subprocess.run(
            ["docker", "version", "--format", "{{.Server.Version}}"], capture_output=True, check=False, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
