"""What became of this process's answers on their way to the log, for Prometheus."""

from collections.abc import Iterable
from dataclasses import dataclass

from prometheus_client.core import CounterMetricFamily
from prometheus_client.registry import Collector

from services.deployer.serving.journal import Journal


@dataclass(slots=True, eq=False)
class Figures(Collector):
    """`muniment_answers_refused_total`: rows answered that the log took no record of, and never will."""

    journal: Journal

    def describe(self) -> Iterable[CounterMetricFamily]:
        """The family without samples."""
        return [_family()]

    def collect(self) -> Iterable[CounterMetricFamily]:
        """As many series as versions had a record refused."""
        family = _family()
        for (deployment, version), rows in sorted(self.journal.refused.items()):
            family.add_metric((deployment, str(version)), rows)
        return [family]


def _family() -> CounterMetricFamily:
    told = "Answered predictions whose record the log refused"
    return CounterMetricFamily("muniment_answers_refused", told, labels=("deployment", "version"))
