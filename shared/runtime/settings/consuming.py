"""Consumers of the log, checks of what they made of it, and those who listen."""

from shared.runtime.settings.environment import Environment


class ConsumingSettings(Environment):
    consumer_max_records: int = 500
    consumer_poll_seconds: float = 1.0
    consumer_stuck_seconds: float = 30.0
    """A consumer behind the log's end that has not advanced for so long makes readiness fail."""

    consumer_max_lag: int = 1_000_000
    """Records behind the log's end at which readiness fails."""

    consumer_load_lag: int = 20_000
    """Records behind the log's end at which a consumer that starts makes the indexes of its views only at the end."""

    consumer_retry_seconds: float = 1.0
    consumer_not_yet_seconds: float = 300.0
    """How long a record waits for what another topic still has to bring, before it goes to the dead letters."""

    views_check_seconds: float = 0.0
    """How often a worker checks the views of its service by itself, and puts the outcome on record; 0: only when asked
    for. A check replays the whole log, in the worker's own process."""

    check_rounds: int = 5
    """How often a check of the views looks again at rows that differ because the live system went on."""

    check_pause_seconds: float = 2.0
    """How long it waits before it looks again."""

    check_max_suspects: int = 10_000
    """Rows of one view that it remembers for looking again; differences beyond are only counted."""

    max_dead_letters: int = 100_000
    """Above this number of waiting dead letters readiness fails."""

    max_stream_clients: int = 200
    """Listeners of server-sent events that one process serves at once; who comes then is told to try again."""

    stream_replay: int = 1_000
    """Events that a listener who comes back may have missed and is still told."""
