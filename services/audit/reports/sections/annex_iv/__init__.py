"""Technical documentation by Annex IV of Regulation (EU) 2024/1689, point by point: what is on record of each, and what
is not. Where a fact stands in full in another section, its name is given."""

from collections.abc import Callable

from services.audit.reports.document import Section, Statement
from services.audit.reports.facts import Facts
from services.audit.reports.sections.annex_iv import operation
from services.audit.reports.sections.annex_iv.elements import elements
from services.audit.reports.sections.annex_iv.general import general

Point = tuple[str, str, str, Callable[[Facts], list[Statement]]]


def sections(facts: Facts) -> tuple[Section, ...]:
    """A section for each of the nine points."""
    return tuple(Section(name, title, f"Annex IV, {point}", tuple(told(facts))) for name, title, point, told in _POINTS)


_POINTS: tuple[Point, ...] = (
    ("annex-iv-1", "General description", "point 1", general),
    ("annex-iv-2", "Elements and development", "point 2", elements),
    ("annex-iv-3", "Monitoring, functioning and control", "point 3", operation.control),
    ("annex-iv-4", "Appropriateness of the performance metrics", "point 4", operation.metrics),
    ("annex-iv-5", "Risk management system", "point 5", operation.risk),
    ("annex-iv-6", "Relevant changes through the lifecycle", "point 6", operation.changes),
    ("annex-iv-7", "Standards applied", "point 7", operation.standards),
    ("annex-iv-8", "EU declaration of conformity", "point 8", operation.declaration),
    ("annex-iv-9", "Performance in the post-market phase", "point 9", operation.post_market),
)
