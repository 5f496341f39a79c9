"""A real Kafka for the tests: a container where a Docker engine answers, else Java and Maven's jars."""

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from devstack.kafka import KafkaBroker, docker_answers
from devstack.prepare import CannotPrepare
from devstack.processes import NotReady

IMAGE = "apache/kafka:4.1.1"


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


@pytest.fixture(scope="session")
def kafka_address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """host:port of a broker for the whole session; `MUNIMENT_TEST_KAFKA` names one that runs already."""
    if given := os.environ.get("MUNIMENT_TEST_KAFKA"):
        yield given
        return
    if docker_answers():
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer(IMAGE).with_kraft() as container:
            yield container.get_bootstrap_server()
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
