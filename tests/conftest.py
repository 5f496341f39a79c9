"""Fixtures for every tier. Servers start when the first test asks for them."""

from hypothesis import HealthCheck, settings

from tests.kafka_fixture import kafka_address, kafka_log_factory, own_broker
from tests.postgres_fixture import postgres, postgres_dsn

__all__ = ["kafka_address", "kafka_log_factory", "own_broker", "postgres", "postgres_dsn"]

# Hypothesis draws the same examples each time and measures no time, so that no run fails by luck or under load.
# `--hypothesis-profile=explore` draws new ones; with `--hypothesis-seed` those of a seed.
SLOW = [HealthCheck.too_slow]
settings.register_profile("same", deadline=None, suppress_health_check=SLOW, derandomize=True, database=None)
settings.register_profile("explore", deadline=None, suppress_health_check=SLOW, print_blob=True)
settings.load_profile("same")
