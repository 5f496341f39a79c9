"""A version's predictions in a range, as several endpoints are asked about them."""

from dataclasses import dataclass
from datetime import datetime

from services.monitor.domain.sketch import EMPTY, Sketch
from services.monitor.facts import Version
from services.monitor.reading import Reading
from services.monitor.span import Span
from shared.log.tables import Row
from shared.runtime.times import utc


def version_of(row: Row, version: int | None) -> int:
    """The version that is asked about: the deployment's champion where none is named."""
    return version if version is not None else row["traffic"]["champion"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What figures are asked of: the predictions of a version in a range."""

    row: Row
    version: int
    span: Span
    sketch: Sketch
    known: Version | None


async def asked(
    figures: Reading, name: str, version: int | None, since: datetime | None, until: datetime | None
) -> Asked:
    """The predictions of a version (None: the champion) in a range. Raises Problem 404."""
    row = await figures.deployment(name)
    number = version_of(row, version)
    span = Span(name, number, utc(since), utc(until))
    totals = await figures.total(span)
    return Asked(row, number, span, totals.get(number, EMPTY), await figures.version(row["model"], number))
