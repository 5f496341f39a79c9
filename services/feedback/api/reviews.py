"""Reviews of unflagged predictions: draw, judge, and what that says of all; and how far experts agree and are right."""

import secrets
from dataclasses import asdict
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from services.feedback.api.bodies import Body, Name, QueryBody, Text, query_of
from services.feedback.api.roles import FLAGGERS, RULERS
from services.feedback.domain import reviewing
from services.feedback.domain.agreement import agreement, trust
from services.feedback.domain.conditions import check
from services.feedback.domain.reviewing import Draw, Judge, Judgement
from services.feedback.domain.reviews import MAX_STRATA, Looked, allocate, by_score, estimate, uncertainty
from services.feedback.drawing import Population, population
from shared.events import batches
from shared.events.feedback import ReviewDrawn, ReviewItem, Stratum
from shared.log.tables import Query, Row, equal
from shared.runtime.http import Call, page, reading, writing
from shared.runtime.problems import Problem
from shared.runtime.service import Service
from shared.runtime.times import Instant

Limit = Annotated[int, Field(ge=1)]
Level = Annotated[float, Field(gt=0, lt=1)]
PATH = "/v1/reviews"
MOST = 100_000
OTHER = "(other)"
LEAST_WEIGHT = 0.1


class ReviewBody(Body):
    """`query`: which predictions; it names a version. `stratified`: in strata by segment (`by: segment`) or by the
    output's value, drawn in proportion to their size. `uncertainty`: in strata by nearness to `threshold`, more of the
    near ones. `size`: how many to look at; `seed`: to repeat a draw."""

    query: QueryBody
    design: Literal["stratified", "uncertainty"] = "uncertainty"
    by: Literal["score", "segment"] = "score"
    output: Name | None = None
    threshold: float = 0.5
    strata: Annotated[int, Field(ge=1, le=MAX_STRATA)] = 5
    size: Annotated[int, Field(ge=2)] = 100
    seed: Annotated[int, Field(ge=0, lt=2**63)] | None = None
    at: Instant | None = None


class WordBody(Body):
    prediction_id: Name
    wrong: bool
    comment: Text = ""


class WordsBody(Body):
    """Judgements of one expert, all or none; a later one on the same prediction counts instead."""

    judgements: Annotated[list[WordBody], Field(min_length=1, max_length=1_000)]
    at: Instant | None = None


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    _add_draw(routes, service)
    _add_seeing(routes, service)
    _add_judging(routes, service)


def _add_draw(routes: APIRouter, service: Service) -> None:
    ruling = Depends(writing(service, *RULERS))

    @routes.post(PATH, status_code=201)
    async def draw(body: ReviewBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Draw unflagged predictions at random for experts to look at, from every stratum, without replacement."""
        query = query_of(body.query, call.moment)
        check(query.where)
        if query.version is None:
            raise Problem(422, "no-version", "A review is of one version; name it in 'query'.")
        if body.size > service.settings.max_review_items:
            detail = f"'size' is more than {service.settings.max_review_items}."
            raise Problem(422, "review-too-large", detail, "Draw several reviews.")
        found, output = await population(service, query, body.output)
        seed = body.seed if body.seed is not None else secrets.randbits(62)
        strata, items = _drawn(body, found, output, seed)
        context = call.context(body.at)
        drawn = ReviewDrawn(
            review=context.event_id,
            deployment=query.deployment,
            model=found.model,
            version=query.version,
            design=body.design,
            output=output.removeprefix(batches.OUTPUT) if output else None,
            seed=seed,
            since=query.since,
            until=query.until,
            strata=strata,
            items=items,
        )
        told = {"strata": [one.model_dump() for one in strata], "items": len(items), "flagged": found.flagged}
        return await call.write(
            reviewing, f"review/{drawn.review}", Draw(drawn), context=context, answer=lambda _: told
        )


def _add_seeing(routes: APIRouter, service: Service) -> None:
    seeing = Depends(reading(service))

    @routes.get(PATH)
    async def reviews(
        call: Annotated[Call, seeing], deployment: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Reviews, the newest first."""
        where = equal(deployment=deployment) if deployment is not None else ()
        return await page(service, Query("reviews", where, ("-at",), limit), cursor)

    @routes.get(PATH + "/{review}")
    async def one_review(review: str, call: Annotated[Call, seeing], level: Level = 0.95) -> dict[str, Any]:
        """What a review says so far: of each stratum its size and how many were drawn, judged and found wrong; the
        error rate of all unflagged predictions with its interval at `level`; how far the experts agree."""
        row = await _known(service, review)
        return row | await _said(service, row, level)

    @routes.get(PATH + "/{review}/items")
    async def items(
        review: str, call: Annotated[Call, seeing], limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """What was drawn, in the order in which to look: strata are mixed, so that stopping early does no harm."""
        await _known(service, review)
        return await page(service, Query("review_items", equal(review=review), ("place",), limit), cursor)


def _add_judging(routes: APIRouter, service: Service) -> None:
    judging, seeing = Depends(writing(service, *FLAGGERS)), Depends(reading(service))

    @routes.post(PATH + "/{review}/judgements", status_code=201)
    async def judge(review: str, body: WordsBody, call: Annotated[Call, judging]) -> JSONResponse:
        """Say of drawn predictions whether they are wrong. 422 `not-in-review` for any other."""
        words = tuple(Judgement(one.prediction_id, one.wrong, one.comment) for one in body.judgements)
        context = call.context(body.at)
        return await call.write(reviewing, f"review/{review}", Judge(words), context=context)

    @routes.get("/v1/experts")
    async def experts(call: Annotated[Call, seeing], deployment: str | None = None) -> dict[str, Any]:
        """How each expert's flags ended, and the weight that follows from it: the expected share upheld, by Laplace's
        rule of succession. Nothing is weighted by it unless it is asked for, as in GET /v1/rates?weighted=true."""
        where = equal(deployment=deployment) if deployment is not None else ()
        columns = ("raised_by", "resolution")
        rows = await service.store.find(Query("flags", where, ("-raised_at",), MOST, columns=columns))
        return {"items": [{**asdict(one), "weight": one.weight} for one in trust(rows)], "next": None}


def _drawn(
    body: ReviewBody, found: Population, output: str | None, seed: int
) -> tuple[tuple[Stratum, ...], tuple[ReviewItem, ...]]:
    names, weights, codes = _strata(body, found)
    sizes = np.bincount(codes, minlength=len(names)).tolist()
    taken = allocate(sizes, weights, body.size)
    random = np.random.default_rng(seed)
    places = [
        (int(place), names[code])
        for code, drawn in enumerate(taken)
        for place in random.choice(np.flatnonzero(codes == code), drawn, replace=False)
    ]
    order = random.permutation(len(places))
    items = tuple(
        ReviewItem(
            prediction_id=found.named(places[at][0]),
            stratum=places[at][1],
            score=float(found.score[places[at][0]]) if output else None,
        )
        for at in order.tolist()
    )
    strata = [Stratum(name=one, size=size, drawn=drawn) for one, size, drawn in zip(names, sizes, taken, strict=True)]
    return tuple(one for one in strata if one.size), items


def _strata(body: ReviewBody, found: Population) -> tuple[list[str], list[float], Any]:
    """Names, weights, and the stratum of each prediction."""
    numbers = range(body.strata)
    if body.design == "uncertainty":
        near = uncertainty(found.score, body.threshold)
        codes = by_score(near, body.strata)
        means = [float(near[codes == code].mean()) if (codes == code).any() else 0.0 for code in numbers]
        return [f"uncertainty {code + 1}" for code in numbers], [max(one, LEAST_WEIGHT) for one in means], codes
    if body.by == "score":
        return [f"score {code + 1}" for code in numbers], [1.0] * body.strata, by_score(found.score, body.strata)
    return _by_segment(found)


def _by_segment(found: Population) -> tuple[list[str], list[float], Any]:
    """The largest segments have a stratum each; the others share the last."""
    segments, codes, counts = np.unique(found.segment.astype(str), return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    place = np.empty(len(order), np.int64)
    place[order] = np.minimum(np.arange(len(order)), MAX_STRATA - 1)
    names = [str(segments[at]) or "(none)" for at in order[:MAX_STRATA]]
    if len(order) > MAX_STRATA:
        names[-1] = OTHER
    return names, [1.0] * len(names), place[codes]


async def _known(service: Service, review: str) -> Row:
    row = await service.store.get("reviews", review)
    if row is None:
        raise Problem(404, "unknown-review", f"There is no review '{review}'.", f"List them with GET {PATH}.")
    return row


async def _said(service: Service, row: Row, level: float) -> dict[str, Any]:
    words = await service.store.find(Query("judgements", equal(review=row["id"]), limit=MOST))
    items = await service.store.find(Query("review_items", equal(review=row["id"]), limit=MOST))
    said: dict[str, dict[str, bool]] = {}
    for word in words:
        said.setdefault(word["prediction_id"], {})[word["actor"]] = word["wrong"]
    strata = {one["name"]: one | {"judged": 0, "wrong": 0.0} for one in row["strata"]}
    for item in items:
        if item["prediction_id"] in said:
            votes = list(said[item["prediction_id"]].values())
            strata[item["stratum"]]["judged"] += 1
            strata[item["stratum"]]["wrong"] += sum(votes) / len(votes)
    found = estimate({name: Looked(one["size"], one["judged"], one["wrong"]) for name, one in strata.items()}, level)
    agreed = agreement(said)
    pairs = [{"experts": list(one.experts), "things": one.things, "kappa": one.kappa} for one in agreed.pairs]
    return {
        "strata": list(strata.values()),
        "judged": len(said),
        "error_rate": asdict(found) if found else None,
        "agreement": {"cohen": pairs, "fleiss": agreed.fleiss, "things": agreed.things, "experts": agreed.experts},
    }
