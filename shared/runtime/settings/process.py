"""Where a process stands, what it speaks to, and the limits that hold for every service."""

from pathlib import Path

from shared.runtime.settings.environment import Environment


class ProcessSettings(Environment):
    kafka: str = "127.0.0.1:9092"
    postgres: str = "postgresql://postgres@127.0.0.1:5432/postgres"
    redis: str = "redis://127.0.0.1:6379/0"
    keyring: str = ""
    """PostgreSQL that keeps the keys of personal values, best one with backups of its own; empty: that of `postgres`.
    Every service that writes or reads predictions needs the same one."""

    host: str = "127.0.0.1"
    port: int = 8080
    data_dir: Path = Path(".muniment")
    api_keys: Path | None = None
    """File of hashed API keys; None: none set up, so only loopback is served and `X-Actor` is taken."""

    start_seconds: float = 60.0
    """How long a starting process waits for store and log."""

    stop_seconds: float = 10.0
    """How long requests may take to end once the process is asked to stop."""

    log_level: str = "INFO"
    log_json: bool = True

    kafka_partitions: int = 4
    kafka_replication: int = 1
    """Replicas of each topic; 3 where there are 3 brokers, and then two must be in sync for a write."""

    kafka_max_message_bytes: int = 16 * 2**20
    kafka_session_seconds: float = 10.0
    """How long a consumer that has died without a word keeps its partitions. Brokers take 6 s and more, unless their
    `group.min.session.timeout.ms` says otherwise."""

    relay_gather_seconds: float = 0.02
    """Least time from one publication of a service to the next, where events come in a steady flow: those written
    meanwhile go out together. After a rest an event goes out at once."""

    max_body_bytes: int = 16 * 2**20
    max_rows_per_batch: int = 10_000
    max_page: int = 1_000
    max_wait_seconds: float = 10.0
    """How long `?after=` waits at most."""

    max_clock_skew_seconds: float = 300.0
    """How far in the future a time given by a caller may lie."""

    coalesce_seconds: float = 0.005
    coalesce_rows: int = 1_000

    idempotency_seconds: int = 86_400

    @property
    def kafka_heartbeat_seconds(self) -> float:
        """Between two signs of life in a session: two of them may be lost."""
        return self.kafka_session_seconds * 0.3
