"""One decision: found, understood, and flagged with one click."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import orjson
from starlette.datastructures import UploadFile
from starlette.responses import Response, StreamingResponse

from console import pages
from console.visit import Handler, Visit, see
from muniment.errors import ProblemError, UnreachableError

SEARCHED = ("deployment", "version", "segment", "entity", "from", "to", "output", "min_output", "max_output")
SHOWN = 50
WRONG = "wrong_answer"
"""The category of the one click where nobody has used another yet."""
CATEGORIES = 6
EXPLAINING_SECONDS = 15.0
"""For so long a page waits for an explanation at most; all else is shown before."""
AGAIN_SECONDS = 0.5
STARTING = "explanation-starting"


async def _find(visit: Visit) -> Response:
    """Predictions of a deployment, and a way to one whose id is known."""
    if wanted := visit.said("id"):
        return see(f"/predictions/{quote(wanted, safe='')}")
    names = [one["name"] for one in (await visit.get("/v1/deployments", limit=1_000))["items"]]
    asked = {name: visit.said(name) for name in SEARCHED}
    found: dict[str, Any] = {"items": [], "next": None}
    if asked["deployment"]:
        path = f"/v1/deployments/{quote(asked['deployment'], safe='')}/predictions"
        rest = {f"{name}_": value for name, value in asked.items() if name != "deployment"}
        found = await visit.get(path, limit=SHOWN, cursor=visit.said("cursor"), **rest)
    named = {name: value for name, value in asked.items() if value}
    return visit.page("find", deployments=names, asked=asked, named=named, found=found)


async def _one(visit: Visit) -> Response:
    """One prediction: what the model was given and said, what is flagged of it, and why it came out so. The last takes
    the model's time, so it comes behind all else, in the same page."""
    name = visit.request.path_params["prediction"]
    known, flags = await asyncio.gather(_prediction(visit, name), _flags_on(visit, name))
    categories = await _categories(visit, known["deployment"]) if known else [WRONG]
    head = pages.rendered(
        "prediction",
        session=visit.session,
        id=name,
        known=known,
        flags=flags,
        categories=categories,
        severities=("low", "medium", "high", "critical"),
    )

    async def pieces() -> AsyncIterator[str]:
        yield head
        yield pages.rendered("explanation", known=known, **await _explained(visit, name, known))

    return StreamingResponse(pieces(), media_type="text/html", headers=pages.HEADERS)


async def _flag(visit: Visit) -> Response:
    """Flag it: with one click in a category that is shown, or in words."""
    name = visit.request.path_params["prediction"]
    files = [await _kept(visit, one) for one in visit.form.getlist("file") if isinstance(one, UploadFile) and one.size]
    body: dict[str, Any] = {
        "prediction_id": name,
        "category": visit.said("other") or visit.said("category"),
        "severity": visit.said("severity"),
        "comment": visit.said("comment"),
        "expected": value_of(visit.said("expected")),
        "attachments": files or None,
    }
    raised = await visit.post("/v1/flags", body)
    return see(f"/flags/{raised['id']}", after=raised["event_id"], said="twice" if raised["duplicate"] else "raised")


async def _prediction(visit: Visit, name: str) -> dict[str, Any] | None:
    """None where it is not known (yet), which is no reason not to flag it."""
    try:
        return await visit.get(f"/v1/predictions/{quote(name, safe='')}")
    except ProblemError as error:
        if error.status in (404, 410, 422):
            return None
        raise


async def _flags_on(visit: Visit, name: str) -> list[dict[str, Any]]:
    return (await visit.get("/v1/flags", prediction_id=name, after=visit.after))["items"]


async def _categories(visit: Visit, deployment: str) -> list[str]:
    """Those in which this deployment is flagged most, each one click; the plain one first where there is none."""
    counts: dict[str, int] = (await visit.get("/v1/flags:summary", deployment=deployment))["by_category"]
    used = sorted(counts, key=lambda name: (-counts[name], name))
    return [*used[:CATEGORIES], *([WRONG] if WRONG not in used[:CATEGORIES] else [])]


async def _explained(visit: Visit, name: str, known: dict[str, Any] | None) -> dict[str, Any]:
    """`explanation`, or None and the `reason`, in words."""
    if known is None:
        return {"explanation": None, "reason": "Nothing can be explained before the prediction is known."}
    try:
        async with asyncio.timeout(EXPLAINING_SECONDS):
            return {"explanation": await _explanation(visit, name), "reason": ""}
    except (ProblemError, UnreachableError) as error:
        return {"explanation": None, "reason": str(error)}
    except TimeoutError:
        return {"explanation": None, "reason": "The model takes its time; load this page again in a while."}


async def _explanation(visit: Visit, name: str) -> dict[str, Any]:
    """Asked again while the process that explains is starting."""
    while True:
        try:
            return await visit.get(f"/v1/predictions/{quote(name, safe='')}/explanation")
        except ProblemError as error:
            if error.code != STARTING:
                raise
            await asyncio.sleep(AGAIN_SECONDS)


async def _kept(visit: Visit, file: UploadFile) -> dict[str, str]:
    """An attachment, sent before the flag that names it."""
    kept = await visit.send("/v1/attachments", await file.read(), file.content_type or "application/octet-stream")
    return {"sha256": kept["sha256"], "name": file.filename or "file"}


def value_of(text: str) -> Any:
    """JSON, or the text itself where it is none; None where there is no text."""
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("", "GET", _find),
    ("/predictions/{prediction:path}", "GET", _one),
    ("/predictions/{prediction:path}", "POST", _flag),
)
