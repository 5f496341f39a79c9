"""The topics and their settings: created where missing, checked where they exist."""
# pyright: reportMissingTypeStubs=false
# aiokafka ships no types

from collections.abc import Sequence
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import NoError, TopicAlreadyExistsError, for_code

from shared.events.catalog import TOPICS
from shared.log.log import LogUnavailable
from shared.runtime.settings import Settings

BATCH_OVERHEAD_BYTES = 2**16
"""What a broker measures is the batch: the largest record and its frame."""


class TopicsWrong(Exception):
    """Topics exist with settings under which the log would lose or refuse records. Each line names one."""


def topic_config(settings: Settings) -> dict[str, str]:
    """What every topic of the log must have."""
    return {
        "min.insync.replicas": "2" if settings.kafka_replication >= 3 else "1",
        "unclean.leader.election.enable": "false",
        "retention.ms": "-1",
        "retention.bytes": "-1",
        "cleanup.policy": "delete",
        "max.message.bytes": str(settings.kafka_max_message_bytes + BATCH_OVERHEAD_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "compression.type": "producer",
    }


async def ensure_topics(bootstrap: str, settings: Settings, topics: Sequence[str] = TOPICS) -> None:
    """Create what is missing; raise TopicsWrong for existing topics that are not as they must be.

    Raises aiokafka's KafkaError when the brokers cannot be reached, LogUnavailable when they refuse to create.
    """
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    try:
        await admin.start()
        missing = sorted(set(topics) - set(await admin.list_topics()))
        if missing:
            await _create(admin, settings, missing)
        wrong = await wrong_settings(admin, settings, [topic for topic in topics if topic not in missing])
    finally:
        await admin.close()
    if wrong:
        raise TopicsWrong("\n".join(wrong))


async def wrong_settings(admin: Any, settings: Settings, topics: Sequence[str]) -> list[str]:
    """One line per setting of an existing topic that endangers the log."""
    if not topics:
        return []
    wrong: list[str] = []
    wanted = topic_config(settings)
    resources = [ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics]
    for response in await admin.describe_configs(resources):
        for _code, _message, _type, topic, entries in response.resources:
            found = {entry[0]: entry[1] for entry in entries}
            wrong += [
                _line(topic, name, found.get(name), value)
                for name, value in wanted.items()
                if not _enough(name, found.get(name), value)
            ]
    for described in await admin.describe_topics(list(topics)):
        replicas = min((len(each["replicas"]) for each in described["partitions"]), default=0)
        if replicas < settings.kafka_replication:
            wrong.append(_line(described["topic"], "replication", str(replicas), str(settings.kafka_replication)))
    return wrong


async def _create(admin: Any, settings: Settings, topics: Sequence[str]) -> None:
    config = topic_config(settings)
    created = await admin.create_topics(
        [
            NewTopic(topic, settings.kafka_partitions, settings.kafka_replication, topic_configs=config)
            for topic in topics
        ]
    )
    for topic, code, *message in created.topic_errors:
        error = for_code(code)
        if error not in (NoError, TopicAlreadyExistsError):  # another process may create it at the same time
            raise LogUnavailable(f"cannot create topic {topic}: {error.__name__} {message}")


def _enough(name: str, found: str | None, wanted: str) -> bool:
    if name in ("max.message.bytes", "min.insync.replicas") and found is not None:
        return int(found) >= int(wanted)
    return found == wanted


def _line(topic: str, name: str, found: str | None, wanted: str) -> str:
    return f"topic {topic}: {name} is {found}, must be {wanted}"
