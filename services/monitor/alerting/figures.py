"""The newest window of every deployed version, open alerts and deliveries, as figures for Prometheus.

They are read from the store now and then and kept in memory, since being asked must cost nothing. Of features only the
most drifted are told, and of everything no more than `metrics_max_series`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import structlog
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from shared.log.store import Store
from shared.log.tables import Query, Row, equal

logger = structlog.get_logger()

FEATURES = 20
MAX_ROWS = 10_000
COUNTED = 100_000
_OF_VERSION = ("deployment", "version")
_NAMES: dict[str, tuple[str, tuple[str, ...]]] = {
    "muniment_window_start_seconds": ("When the newest measured window began (since 1970)", _OF_VERSION),
    "muniment_window_predictions": ("Predictions in the newest measured window", _OF_VERSION),
    "muniment_window_outcomes": ("Outcomes known of the newest measured window", _OF_VERSION),
    "muniment_drift_psi": ("Population stability index of a feature, newest window", (*_OF_VERSION, "feature")),
    "muniment_quality": ("A quality figure of the newest window", (*_OF_VERSION, "metric")),
    "muniment_quality_estimated": ("A quality figure of it, estimated before outcomes come", (*_OF_VERSION, "metric")),
    "muniment_kpi_per_case": ("A KPI per case of the newest window", (*_OF_VERSION, "kpi", "unit")),
    "muniment_integrity_breaches": ("Checks of the data that the newest window failed", _OF_VERSION),
    "muniment_alerts_open": ("Open alerts", (*_OF_VERSION, "kind")),
    "muniment_alert_deliveries": ("Deliveries of alerts that wait or are dead", ("state",)),
    "muniment_archived_predictions": ("Predictions in blocks of the archive", ("deployment",)),
    "muniment_archived_bytes": ("Bytes of blocks of the archive", ("deployment",)),
}

Sample = tuple[str, tuple[str, ...], float]
"""(name, label values, value)."""


@dataclass(slots=True, eq=False)
class Figures(Collector):
    """Collects what `run` read last."""

    store: Store
    most: int
    _samples: list[Sample] = field(default_factory=list[Sample])

    async def run(self) -> None:
        """Read everything anew."""
        rows = await self.store.find(Query("latest_figures", limit=MAX_ROWS))
        samples = [sample for row in rows for sample in _window(row["measured"])]
        samples += await self._alerts() + await self._deliveries() + await self._archive()
        if len(samples) > self.most:
            logger.warning("figures left out", kept=self.most, all=len(samples))
        self._samples = samples[: self.most]

    def describe(self) -> Iterable[GaugeMetricFamily]:
        return []

    def collect(self) -> Iterable[GaugeMetricFamily]:
        families = {name: GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in _NAMES.items()}
        for name, labels, value in self._samples:
            families[name].add_metric(labels, value)
        return families.values()

    async def _alerts(self) -> list[Sample]:
        rows = await self.store.find(Query("alerts", equal(open=True), limit=MAX_ROWS))
        return [("muniment_alerts_open", (row["deployment"], str(row["version"]), row["kind"]), 1.0) for row in rows]

    async def _deliveries(self) -> list[Sample]:
        found: list[Sample] = []
        for state in ("waiting", "dead"):
            query = Query("alert_deliveries", equal(state=state), limit=COUNTED, columns=("delivery",))
            found.append(("muniment_alert_deliveries", (state,), float(len(await self.store.find(query)))))
        return found

    async def _archive(self) -> list[Sample]:
        columns = ("block", "deployment", "rows", "bytes")
        blocks = await self.store.find(Query("archive_blocks", limit=COUNTED, columns=columns))
        totals: dict[str, tuple[int, int]] = {}
        for row in blocks:
            rows, size = totals.get(row["deployment"], (0, 0))
            totals[row["deployment"]] = rows + row["rows"], size + row["bytes"]
        return [
            sample
            for name, (rows, size) in totals.items()
            for sample in (
                ("muniment_archived_predictions", (name,), float(rows)),
                ("muniment_archived_bytes", (name,), float(size)),
            )
        ]


def _window(measured: dict[str, Any]) -> list[Sample]:
    """The samples of one `WindowMeasured`."""
    of = (measured["deployment"], str(measured["version"]))
    start = datetime.fromisoformat(measured["window_start"]).timestamp()
    drift = sorted(measured["drift"], key=lambda one: -(one["psi"] or 0.0))[:FEATURES]
    found: list[Sample] = [
        ("muniment_window_start_seconds", of, start),
        ("muniment_window_predictions", of, float(measured["predictions"])),
        ("muniment_window_outcomes", of, float(measured["outcomes"])),
        ("muniment_integrity_breaches", of, float(sum(one["breached"] for one in measured["integrity"]))),
    ]
    found += [("muniment_drift_psi", (*of, one["feature"]), one["psi"]) for one in drift if one["psi"] is not None]
    found += [("muniment_quality", (*of, name), value) for name, value in measured["quality"].items() if _is(value)]
    expected = measured.get("estimated", {})
    found += [("muniment_quality_estimated", (*of, name), value) for name, value in expected.items() if _is(value)]
    kpis: list[Row] = measured["kpis"]
    return found + [("muniment_kpi_per_case", (*of, one["kpi"], one["unit"]), one["per_case"]) for one in kpis]


def _is(value: Any) -> bool:
    return isinstance(value, int | float)
