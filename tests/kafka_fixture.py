"""A real Kafka for the tests: a container where a Docker engine answers, else Java and Maven's jars."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from devstack.kafka import KafkaBroker, docker_answers
from devstack.prepare import CannotPrepare
from devstack.processes import NotReady, free_port

IMAGE = "apache/kafka:4.3.1"


def _missing(reason: object) -> None:
    """Skip with one loud line; under CI=true a missing broker is a failure."""
    line = f"NO KAFKA, ITS TESTS DO NOT RUN: {reason}"
    if os.environ.get("CI") == "true":
        pytest.fail(line, pytrace=False)
    warnings.warn(line, stacklevel=2)
    pytest.skip(line)


def _started(broker: KafkaBroker) -> KafkaBroker:
    try:
        broker.start()
    except (CannotPrepare, NotReady) as error:
        _missing(error)
    return broker


@contextmanager
def _container() -> Iterator[str]:
    """The official image, advertised under a port of this machine."""
    from testcontainers.core.container import DockerContainer
    from testcontainers.core.wait_strategies import LogMessageWaitStrategy

    port = free_port()
    container = (
        DockerContainer(IMAGE)
        .with_bind_ports(port, port)
        .with_envs(
            KAFKA_NODE_ID="1",
            KAFKA_PROCESS_ROLES="broker,controller",
            KAFKA_CONTROLLER_QUORUM_VOTERS="1@localhost:29093",
            KAFKA_LISTENERS=f"PLAINTEXT://:{port},CONTROLLER://:29093",
            KAFKA_ADVERTISED_LISTENERS=f"PLAINTEXT://127.0.0.1:{port}",
            KAFKA_CONTROLLER_LISTENER_NAMES="CONTROLLER",
            KAFKA_INTER_BROKER_LISTENER_NAME="PLAINTEXT",
            KAFKA_LISTENER_SECURITY_PROTOCOL_MAP="PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            KAFKA_AUTO_CREATE_TOPICS_ENABLE="false",
            KAFKA_MESSAGE_MAX_BYTES=str(32 * 2**20),
            KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR="1",
            KAFKA_TRANSACTION_STATE_LOG_MIN_ISR="1",
            KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS="0",
            KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS="1000",
        )
    )
    with container.waiting_for(LogMessageWaitStrategy("Kafka Server started")):
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker for the whole session; `MUNIMENT_TEST_KAFKA` names one that runs already."""
    if given := os.environ.get("MUNIMENT_TEST_KAFKA"):
        yield given
        return
    if docker_answers():
        with _container() as address:
            yield address
        return
    folder = tmp_path_factory.mktemp("kafka")
    broker = _started(KafkaBroker(folder))
    try:
        yield broker.address
    finally:
        broker.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[KafkaBroker]:
    """A broker of one test, which may kill and start it again."""
    broker = _started(KafkaBroker(tmp_path / "broker"))
    try:
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def kafka_log_factory(kafka_address: str) -> Callable[..., Any]:
    """Makes started KafkaLogs; `topics` of the caller's own are created with `partitions` partitions."""
    from shared.log.kafka import KafkaLog
    from shared.log.kafka_topics import ensure_topics
    from shared.runtime.settings import Settings

    async def make(partitions: int = 1, topics: tuple[str, ...] = ()) -> KafkaLog:
        settings = Settings(kafka=kafka_address, kafka_partitions=partitions)
        if topics:
            await ensure_topics(kafka_address, settings, topics)
        return await KafkaLog(kafka_address, settings).start()

    return make
