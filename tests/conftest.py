"""Fixtures for every tier. Servers start when the first test asks for them."""

from tests.kafka_fixture import kafka_address, kafka_log_factory, own_broker
from tests.postgres_fixture import postgres, postgres_dsn

__all__ = ["kafka_address", "kafka_log_factory", "own_broker", "postgres", "postgres_dsn"]
