"""Charts as SVG, drawn by pure code: the same bytes for HTML and PDF."""

from services.audit.reports.charts.bars import bars
from services.audit.reports.charts.heat import heat
from services.audit.reports.charts.lines import Mark, lines, read_as

__all__ = ["Mark", "bars", "heat", "lines", "read_as"]
