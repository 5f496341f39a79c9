"""Windows, drift and integrity; the archive, experiments, explanations, figures for Prometheus."""

from shared.runtime.settings.environment import Environment


class MonitorSettings(Environment):
    window_seconds: int = 86_400
    window_lateness_seconds: int = 3_600
    """How long after its end (in event time) a window stays open for predictions that come late."""

    window_grace_seconds: float = 60.0
    """How much longer, by the clock, until a window closes whose deployment gets no more predictions."""

    window_idle_seconds: float = 300.0
    """How long such a deployment is silent until its windows of the past (a replay, a backfill) close."""

    window_measure_seconds: float = 0.5
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

    metrics_seconds: float = 15.0
    """How often figures of windows are read for `/metrics`."""

    metrics_max_series: int = 10_000
    """Figures of windows that one process tells Prometheus at most."""
