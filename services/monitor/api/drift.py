"""How far a deployment's inputs are from what its version learnt on, from a past window, or from the champion's."""

from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query

from services.monitor.api.asked import Asked, asked
from services.monitor.api.windows import Since, Until, VersionNumber
from services.monitor.comparing import drift_items, integrity_items, multivariate_item, together
from services.monitor.domain.drift import Base
from services.monitor.domain.integrity import checks, refusals
from services.monitor.domain.refusals import Refused
from services.monitor.facts import Facts
from services.monitor.reading import Reading
from services.monitor.span import Span
from shared.log.tables import Query as Rows
from shared.log.tables import Where, equal
from shared.runtime.http import Call, reading
from shared.runtime.problems import Problem, not_found
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import utc

Against = Annotated[
    str,
    Query(
        max_length=100,
        description="`reference` (what the version learnt on), `champion` (its predictions of the same range), or "
        "`window:START` (this version's window that starts then, RFC 3339).",
    ),
]
Groups = Annotated[
    bool,
    Query(description="With the groups of each feature that PSI, Jensen-Shannon and chi-square are taken over."),
]
MAX_REFUSALS = 10_000
"""Windows of refusals that are added up, the newest first."""

MICROSECOND = timedelta(microseconds=1)
_LAST = datetime.max.replace(tzinfo=UTC)


def add(router: APIRouter, service: Service) -> None:
    """GET /deployments/{name}/drift and /integrity."""
    figures = Reading.of(service, Facts())
    _drift(router, service, figures)
    _integrity(router, service, figures)


def _drift(router: APIRouter, service: Service, figures: Reading) -> None:
    read, auc = reading(service), service.settings.drift_auc_threshold

    @router.get("/deployments/{name}/drift")
    async def get_drift(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        against: Against = "reference",
        groups: Groups = False,
        call: Call = Depends(read),
    ) -> Answer:
        """Each feature and all together over the range (default version: the champion). What the figures mean, and how
        exact they are: docs/reference/statistics.md."""
        found = await asked(figures, name, version, since, until)
        base = await _base(figures, found, against)
        bins = found.known.bins if found.known is not None else {}
        items: list[dict[str, Any]] = []
        all_features = None
        if base is not None and found.sketch.predictions:
            items = drift_items(found.sketch, bins, base, figures.rule, against != "reference", groups)
            all_features = await together(found.sketch.rows, base.sketch.rows)
        return Answer(
            {
                "version": found.version,
                "against": against,
                "rows": found.sketch.predictions,
                "base_rows": base.sketch.predictions if base is not None else 0,
                "items": items,
                "multivariate": multivariate_item(all_features, auc, figures.rule.level),
                "next": None,
            }
        )


def _integrity(router: APIRouter, service: Service, figures: Reading) -> None:
    read = reading(service)

    @router.get("/deployments/{name}/integrity")
    async def get_integrity(
        name: str,
        version: VersionNumber = None,
        since: Since = None,
        until: Until = None,
        call: Call = Depends(read),
    ) -> Answer:
        """Whether the data of the range are what the version was made for: faults against the signature, values out of
        the reference's range, missing and new values, constant and repeated inputs. Traffic is compared per window.
        `refused`: what intake did not take, with a check of each reason, by the window in which it arrived, since the
        rows' own times may be what was wrong."""
        found = await asked(figures, name, version, since, until)
        known = found.known
        told = [] if known is None else checks(found.sketch, known.reference, known.bins, figures.limits)
        refused = await _refused(service, found.span)
        told = refusals(refused, found.sketch.predictions) + told
        silent = await service.store.get("silences", name)
        return Answer(
            {
                "version": found.version,
                "rows": found.sketch.predictions,
                "distinct_rows": found.sketch.rows.distinct(found.sketch.predictions),
                "refused": {"bodies": refused.bodies, "rows": refused.rows},
                "silent_since": None if silent is None else silent["since"],
                "items": integrity_items(told),
                "next": None,
            }
        )


async def _refused(service: Service, span: Span) -> Refused:
    """What was refused in windows of arrival that begin in the range."""
    where = equal(deployment=span.deployment, version=span.version)
    where += (Where("window_start", ">=", span.since),) if span.since is not None else ()
    where += (Where("window_start", "<", span.until),) if span.until is not None else ()
    rows = await service.store.find(Rows("refusals", where, ("-window_start",), MAX_REFUSALS))
    return reduce(Refused.plus, (Refused(row["bodies"], row["rows"], row["reasons"]) for row in rows), Refused())


async def _base(figures: Reading, found: Asked, against: str) -> Base | None:
    """Raises Problem 404, 422."""
    if against == "reference":
        return None if found.known is None else Base(found.known.reference, found.known.bins)
    if against == "champion":
        return await _champion(figures, found)
    kind, _, text = against.partition(":")
    if kind != "window":
        detail = f"'{against}' is nothing to compare with."
        raise Problem(422, "unknown-base", detail, "Use reference, champion, or window:2013-04-01T00:00:00Z.")
    return await _window(figures, found, _moment(text))


async def _champion(figures: Reading, found: Asked) -> Base | None:
    champion = found.row["traffic"]["champion"]
    if champion == found.version:
        detail = f"Version {champion} is the champion itself."
        raise Problem(422, "champion-against-itself", detail, "Name another version, or compare with the reference.")
    span = Span(found.span.deployment, champion, found.span.since, found.span.until)
    sketch = (await figures.total(span)).get(champion)
    known = await figures.version(found.row["model"], champion)
    return None if sketch is None or known is None else Base(sketch, known.bins)


async def _window(figures: Reading, found: Asked, start: datetime) -> Base:
    name = found.span.deployment
    until = start + MICROSECOND if start < _LAST else None
    sketch = (await figures.total(Span(name, found.version, start, until))).get(found.version)
    if sketch is None:
        starts = await figures.starts(name, found.version)
        not_found("window", start.isoformat().replace("+00:00", "Z"), [f"{one:%Y-%m-%dT%H:%M:%SZ}" for one in starts])
    return Base(sketch, found.known.bins if found.known is not None else {})


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError as error:
        detail = f"'{text}' is no time."
        raise Problem(422, "not-a-time", detail, "Write it as RFC 3339, such as 2013-04-01T00:00:00Z.") from error
    return utc(at) or at.astimezone(UTC)
