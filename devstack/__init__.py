"""Real Kafka, PostgreSQL and Valkey on this machine, without Docker, for development and tests."""
