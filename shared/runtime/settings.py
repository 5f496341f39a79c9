"""Every setting in one place, read from `MUNIMENT_…` environment variables. All that grows has its limit here."""

from pathlib import Path
from typing import Literal

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Settings of one process. Sizes in bytes, times in seconds unless the name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="MUNIMENT_", extra="ignore", frozen=True)

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

    coalesce_seconds: float = 0.005
    coalesce_rows: int = 1_000

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

    window_seconds: int = 86_400
    window_lateness_seconds: int = 3_600
    """How long after its end (in event time) a window stays open for predictions that come late."""

    window_grace_seconds: float = 60.0
    """How much longer, by the clock, until a window closes whose deployment gets no more predictions."""

    window_idle_seconds: float = 300.0
    """How long such a deployment is silent until its windows of the past (a replay, a backfill) close."""

    window_measure_seconds: float = 1.0
    """How often closed or revised windows are measured."""

    max_features: int = 1_000
    max_categories: int = 1_000
    """Distinct values counted per categorical feature and window; the rest is counted together."""

    max_groups: int = 50
    """Groups of a segment or of a protected attribute told apart per window; the rest is counted together."""

    drift_psi_threshold: float = 0.2
    drift_jensen_shannon_threshold: float | None = None
    drift_ks_threshold: float | None = None
    drift_wasserstein_threshold: float | None = None
    """Each of these distances drifts a feature from its threshold on; None: it does not count. Wasserstein in standard
    deviations of what is compared with."""

    drift_auc_threshold: float = 0.65
    """Area under the ROC curve of telling a window's rows from the reference's from which on all features drifted."""

    native_fold: bool | None = None
    """Whether workers of the monitor compile the fold of numbers (Numba): some seconds and 150 MiB for a third less
    time a row. States are the same, to the bit. None: once a worker has folded `native_fold_rows`."""

    native_fold_rows: int = 5_000_000
    """Predictions folded by one process after which the compiling has paid off."""

    drift_level: float = 0.01
    """Expected share of false alarms among the features said to have drifted, over all features of a window."""

    integrity_outside: float = 0.05
    integrity_missing: float = 0.05
    integrity_new_categories: float = 0.05
    integrity_duplicates: float = 0.5
    """Shares of rows at which a window's data breach: outside the reference's range, missing and repeated (both above
    the reference's own share), of categories not in the reference."""

    integrity_traffic: float = 3.0
    """So many times the usual rows, or one so manieth of them, breach."""

    refusals_seconds: float = 5.0
    """How long the monitor's API gathers what it refused before it puts it on record."""

    silence_seconds: float = 86_400.0
    """How long no prediction of a deployment may come, by the clock, before it is said to be silent."""

    alias_gates: dict[str, Literal["staging", "production"]] = {"champion": "production"}
    """Aliases of models that point only at versions whose gate of this stage is open."""

    alias_roles: dict[str, tuple[str, ...]] = {"champion": ("data_scientist", "devops", "risk_manager")}
    """Roles that may move these aliases; whoever may move aliases at all may move all others."""

    lineage_batch_events: int = 1_000
    """OpenLineage events of one batch."""

    mlflow_max_page: int = 10_000
    """Models or versions of one answer to a search through MLflow's API, whatever it asks for."""

    mlflow_max_scanned: int = 100_000
    """Rows that one such search looks through; what is left is found with the page's token."""

    reference_values: int = 10_000
    """Values per feature that a version's reference may hold."""

    reference_total_values: int = 400_000
    """Values of all features together that are kept of a reference read from a file."""

    reference_places: tuple[str, ...] = ("file:///", "s3://", "gs://")
    """Beginnings of the URIs that a reference may be read from, as a JSON list."""

    max_reference_bytes: int = 256 * 2**20
    reference_seconds: float = 30.0
    """How long the reading of a reference may take."""

    gate_lapse_seconds: float = 1.0
    """How often gates are looked at that time alone may have changed."""

    snapshot_seconds: float = 30.0
    """How often the registry's worker looks for models whose state is to be kept as a snapshot."""

    snapshot_events: int = 1_000
    """By how many events a model's stream has grown then since its last snapshot: what a fresh process folds at most
    before it answers."""

    policy_two_people: bool = False
    """Whether every change of a gate's policy takes a second person, whatever the policy in force says."""

    exception_days: int = 90
    """Days for which an exception from a rule may be granted at most."""

    what_if_releases: int = 10_000
    """Releases, and versions, that one question about a proposed policy goes through."""

    archive_url: str = ""
    """Where blocks of archived predictions lie: a folder or `s3://BUCKET/PREFIX`; empty: `archive` in `data_dir`."""

    archive_direct_rows: int = 20_000
    """Predictions of one deployment, version and day that, coming at once, are written as a block at once."""

    archive_block_rows: int = 200_000
    """Young predictions that are packed into one block at most."""

    archive_after_seconds: float = 3_600.0
    """How long fewer predictions than a block wait for others before they are packed."""

    archive_pack_seconds: float = 10.0
    """How often young predictions are looked at for packing."""

    archive_sweep_seconds: float = 3_600.0
    """How often files that no block names are looked for, and what exceeds its retention removed."""

    archive_orphan_seconds: float = 3_600.0
    """Age from which a file that no block names counts as left by a killed process."""

    archive_orphan_days: int = 7
    """Age in days from which such a file is left alone all the same: it may come from before a rebuild."""

    archive_retention_days: int = 0
    """Days for which a deployment's predictions are kept where it has no policy of its own; 0: for ever."""

    max_exports: int = 2
    """Exports of predictions that one process streams at once."""

    experiment_seconds: float = 30.0
    """How often running experiments are judged by what came in."""

    experiment_history_days: int = 90
    """Days before an experiment whose cases tell how many it needs."""

    explanation_seconds: float = 20.0
    """How long one explanation may take, its waiting and the start of the explaining process included."""

    explanation_warm_seconds: float = 30.0
    """How long after its start a process starts its explaining process, unless it was asked before; 0: only then."""

    explanation_background: int = 100
    """Rows of a version's reference against which a prediction is explained."""

    explanation_evaluations: int = 500_000
    """Rows that the model answers for one explanation at most."""

    explanation_cache: int = 1_000
    """Explanations that one process remembers."""

    max_explanations: int = 8
    """Explanations that wait or run in one process; who asks then is told to try again."""

    explanation_cases: int = 5
    explanation_search_rows: int = 50_000
    """Past predictions, the newest first, among which the nearest cases are looked for."""

    alert_raise_windows: int = 2
    """Windows in a row over a threshold at which an alert is raised."""

    alert_clear_windows: int = 2
    """Windows in a row below the level that clears at which an alert is cleared."""

    alert_clear_ratio: float = 0.8
    """Share of a threshold below which a figure counts as calm again."""

    alert_kpi_margin: float = 0.02
    """Share of its target by which a KPI must be better than it to count as calm."""

    alert_signing_key: SecretStr | None = None
    """Out of it follow the routes' signing secrets and the seal on their addresses; API and worker need the same one.
    None: kept in a file in `data_dir`."""

    alert_hosts: tuple[str, ...] = ()
    """Hosts that alerts may be sent to, as a JSON list; empty: any with a public address."""

    alert_private_networks: bool = False
    """Whether alerts may go to private addresses, and by http."""

    alert_timeout_seconds: float = 10.0
    alert_deliver_seconds: float = 1.0
    """How often deliveries that are due are looked for."""

    alert_attempts: int = 12
    alert_retry_seconds: float = 5.0
    alert_retry_most_seconds: float = 3_600.0
    """Pauses between attempts: twice as long each time, up to the second."""

    alert_stale_seconds: float = 86_400.0
    """Age from which an alert is delivered no more: a replay of the log must wake nobody."""

    max_alert_routes: int = 100
    """Routes of alerts, and webhooks of the registry: all settings of alerts that tell of deliveries hold for both."""

    metrics_seconds: float = 15.0
    """How often figures of windows are read for `/metrics`."""

    metrics_max_series: int = 10_000
    """Figures of windows that one process tells Prometheus at most."""

    console_services: str = "http://127.0.0.1:8080"
    """Where a console in a process of its own finds the services: one base URL, or `SERVICE=URL,SERVICE=URL`."""

    flags_open_threshold: int = 10
    """Open flags of one deployed version at which `FlagThresholdBreached` is stated, where no limits were set."""

    max_bulk_flags: int = 1_000_000
    """Predictions that one bulk may flag."""

    max_bulk_pending: int = 10_000
    """Predictions not known yet that one bulk may leave waiting; what a list names beyond them is refused, and told."""

    max_bulks: int = 100
    """Bulks that may be under way at once; who asks then is told to try again."""

    bulk_seconds: float = 0.2
    """How often new bulks are looked for."""

    flags_pending_seconds: float = 7 * 86_400.0
    """How long a flag waits for a prediction that is not known; then whoever raised it is told."""

    flags_per_minute: int = 2_000
    """Flags that one user may raise singly, or in lists of words of their own, in a minute; bulks are for more."""

    max_review_rows: int = 2_000_000
    """Predictions from which one review may draw."""

    max_review_items: int = 5_000
    """Predictions that one review may have looked at."""

    max_rules: int = 100
    """Business rules that one deployment is held to at once."""

    max_correction_rows: int = 1_000_000
    """Rows of one data set of corrections."""

    corrections_url: str = ""
    """Where data sets of corrections lie: a folder or `s3://BUCKET/PREFIX`; empty: `corrections` in `data_dir`."""

    flags_due_seconds: dict[str, float] = {
        "critical": 14_400.0,
        "high": 86_400.0,
        "medium": 604_800.0,
        "low": 2_592_000.0,
    }
    """Until when a flag has to be answered, by severity, as a JSON object."""

    flag_link_seconds: float = 30 * 86_400.0
    """How long a signed link may be good for at most."""

    flag_signing_key: SecretStr | None = None
    """Signs links that flag with one click; API processes on several machines need the same one. None: kept in a file
    in `data_dir`."""

    attachments_url: str = ""
    """Where attachments of flags lie: a folder or `s3://BUCKET/PREFIX`; empty: `attachments` in `data_dir`."""

    max_attachment_bytes: int = 2**20
    max_attachments: int = 10
    """Size of one attachment, and how many one flag may have."""

    idempotency_seconds: int = 86_400
    lineage_max_depth: int = 20
    lineage_max_nodes: int = 10_000
    lineage_max_drawn: int = 150
    """Things that a picture of a lineage shows; the nearest come first and the rest is counted."""

    touched_max_sources: int = 1_000
    """Versions whose batches of predictions one question about what a thing touched goes through."""

    public_url: str = ""
    """Where readers of reports reach this system; empty: as the request did, or at host and port where it was none."""

    reports_url: str = ""
    """Where issued reports lie: a folder or `s3://BUCKET/PREFIX`; empty: `reports` in `data_dir`."""

    report_fonts: Path | None = None
    """Folder of fonts for PDFs in scripts other than Latin, Greek and Cyrillic."""

    report_schedule: Literal["off", "daily", "weekly", "monthly", "quarterly"] = "off"
    """How often a report on each model, and on all, is issued as of the period's end (UTC)."""

    report_check_seconds: float = 60.0
    """How often the schedule is looked at."""

    report_max_events: int = 50_000
    """Events that one question of a report or export reads; beyond it the newest count, and the report says so."""

    max_reports: int = 2
    """Reports that one process renders at once."""

    max_export_rows: int = 5_000_000
    """Events that one export of the log holds at most."""

    signing_key: Path | None = None
    """File of the private key that signs checkpoints, made at the first start; None: `signing.key` in `data_dir`.
    Workers of the audit on several machines need the same one."""

    public_tree: Literal["nothing", "hashes", "entries"] = "nothing"
    """What of the tree is answered without an API key. `hashes`: `/checkpoint` and tiles of hashes, as witnesses and
    mirrors read them, which tell how much is recorded and when, and nothing of what; `entries`: every event, too."""

    tree_origin: str = ""
    """Name of the tree in its checkpoints, such as `example.org/models`; empty: made at the first start."""

    checkpoint_seconds: float = 5.0
    """How often what is new in the log gets into the tree and a checkpoint is signed."""

    checkpoint_max_leaves: int = 50_000
    checkpoint_max_runs: int = 1_000
    """Leaves, and stretches of the log, that one checkpoint covers at most; more go into the next at once."""

    checkpoint_urls: tuple[str, ...] = ()
    """Where checkpoints are copied to: folders or `s3://BUCKET/PREFIX`, best in other hands. As a JSON list."""

    witnesses: tuple[str, ...] = ()
    """Witnesses (C2SP tlog-witness) that cosign checkpoints: `URL VERIFIERKEY` each. As a JSON list."""

    publish_seconds: float = 10.0
    """How often the newest checkpoint is copied and shown to the witnesses."""

    witness_seconds: float = 10.0
    """How long a witness may take to answer."""

    ledger_hot_days: int = 0
    """Days after which entries of the ledger go into cold parts, in Parquet; 0: age is no reason."""

    ledger_hot_leaves: int = 0
    """Newest leaves of the tree whose entries stay in the ledger, older ones go into cold parts; 0: no reason."""

    ledger_part_leaves: int = 65_536
    """Leaves of one cold part: a power of two, 256 at least (else the next smaller one)."""

    ledger_url: str = ""
    """Where cold parts lie: a folder or `s3://BUCKET/PREFIX`, the same for API and worker; empty: `ledger` in
    `data_dir`."""

    ledger_archive_seconds: float = 60.0
    """How often it is looked whether a part is due."""

    ledger_cache_bytes: int = 64 * 2**20
    """Entries of cold parts that a process remembers, for its API and for its worker each."""

    max_proofs: int = 1_000
    """Events of one proof bundle, and entries of one page of the tree."""

    verification_seconds: float = 0.0
    """How often a verification runs by itself; 0: only when asked for."""

    @property
    def kafka_heartbeat_seconds(self) -> float:
        """Between two signs of life in a session: two of them may be lost."""
        return self.kafka_session_seconds * 0.3
