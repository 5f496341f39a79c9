"""Models that are loaded and asked, canaries, remote servers, shadows."""

from shared.runtime.settings.environment import Environment


class DeployerSettings(Environment):
    max_sessions: int = 32
    """Models that one process of the deployer keeps loaded; the least recently used go first."""

    max_models_bytes: int = 2 * 2**30
    """Artifacts of the models that one process keeps loaded, all together; the least recently used go first. What a
    model takes once loaded is about its artifact's size, and what its runs need beside."""

    max_artifact_bytes: int = 512 * 2**20
    routes_seconds: float = 0.1
    """How old the deployer's table of routes may get before a request looks for changes of other processes."""

    batch_rows: int = 1_000
    """Rows of several requests that one run of a model answers together at most."""

    batch_wait_seconds: float = 0.0
    """How long a request that finds no run under way waits for others; 0: it runs at once, and those that come
    meanwhile run together after it."""

    batch_max_waiting: int = 10_000
    """Requests that wait for one model; who comes then is told to try again."""

    inline_seconds: float = 0.002
    """Models whose run of one row takes longer run in a thread, so that other requests are read meanwhile."""

    answers_wait_for_log: bool = False
    """Whether an answer waits until the log has acknowledged its prediction; else it is logged behind the answer."""

    answers_seconds: float = 0.01
    """How long predictions that were answered wait for others, to go to the log as one batch."""

    answers_max_unlogged: int = 10_000
    """Rows answered that the log has not acknowledged yet; when there are so many, answers wait for the log. A process
    that is killed loses at most so many, and tells how many it were when it starts again."""

    answers_full_seconds: float = 1.0
    """How long they wait then, until the answer is refused."""

    canary_seconds: float = 1.0
    """How often canaries are looked at for steps that are due."""

    reaction_stale_seconds: float = 3_600.0
    """Age from which what others state of a deployment has no effect on it any more."""

    remote_seconds: float = 10.0
    """How long a remote inference server may take to answer, all tries together."""

    remote_connect_seconds: float = 1.0
    remote_retries: int = 1
    """How often a request is sent again after a connection that failed, or an answer of 502, 503 or 504."""

    remote_failures: int = 5
    remote_open_seconds: float = 5.0
    """After so many requests in a row that failed, a remote server is left alone for so long."""

    max_shadow_requests: int = 1_000
    """Requests that wait for their shadows; what comes when so many wait gets no shadow answer, and is counted."""
