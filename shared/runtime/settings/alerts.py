"""Alerts of the monitor and webhooks of the registry: where they go and how often they are tried."""

from pydantic import SecretStr

from shared.runtime.settings.environment import Environment


class AlertSettings(Environment):
    alert_raise_windows: int = 2
    """Windows in a row over a threshold at which an alert is raised."""

    alert_clear_windows: int = 2
    """Windows in a row below the level that clears at which an alert is cleared."""

    alert_clear_ratio: float = 0.8
    """Share of a threshold below which a figure counts as calm again."""

    alert_kpi_margin: float = 0.02
    """Share of its target by which a KPI must be better than it to count as calm."""

    quality_cases: int = 100
    """Cases that a window's quality must rest on to be judged; of fewer, an estimate is judged where there is one."""

    quality_past_windows: int = 28
    """Windows before with whose quality a window is compared, and by whose outcomes an estimate reads scores."""

    quality_fall: float = 0.05
    """Points by which AUC, calibration error, accuracy and other shares may be worse than their base."""

    quality_growth: float = 0.1
    """Share by which log loss, Brier score, MAE and RMSE may be greater; and how far bias may have moved, by MAE."""

    quality_bounds: dict[str, float] = {}
    """The worst that a figure of quality may be, for every model, as a JSON object. Of one model: a KPI of a metric."""

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
