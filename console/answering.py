"""Flags and what becomes of them: my own, all, the queue of who answers, the talk, and what one is told."""

from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from starlette.responses import Response

from console.many import moment
from console.visit import Handler, Visit, see
from muniment.errors import ProblemError

FILTERS = ("deployment", "version", "state", "severity", "category", "raised_by", "bulk", "rule")
STATES = ("open", "triaged", "investigating", "waiting", "resolved", "merged", "lapsed")
SEVERITIES = ("low", "medium", "high", "critical")
RESOLUTIONS = ("label_corrected", "model_defect", "data_defect", "works_as_intended")
ENDED = ("resolved", "merged")
_KEPT = ("content-type", "content-disposition", "content-security-policy", "x-content-type-options")
PARTS = 5


async def _flags(visit: Visit) -> Response:
    """Flags, the newest first: mine, unless all are asked for."""
    asked = {name: visit.said(name) for name in FILTERS}
    mine = visit.said("whose") != "all"
    given = asked | ({"mine": "true"} if mine else {})
    found = await visit.get("/v1/flags", limit=50, cursor=visit.said("cursor"), after=visit.after, **given)
    return visit.page("flags", asked=asked, mine=mine, found=found, states=STATES, severities=SEVERITIES)


async def _queue(visit: Visit) -> Response:
    """What is to be answered, what is due first first."""
    which = visit.said("which") or "all"
    given = {"overdue": "true"} if which == "overdue" else {"mine": "true"} if which == "mine" else {}
    assignee = visit.said("assignee")
    found = await visit.get(
        "/v1/triage", limit=50, cursor=visit.said("cursor"), after=visit.after, assignee=assignee, **given
    )
    return visit.page(
        "queue", which=which, assignee=assignee, found=found, now=f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    )


async def _flag(visit: Visit) -> Response:
    """One flag, all that was said about it, and what one can say."""
    name = quote(visit.request.path_params["flag"], safe="")
    found = await visit.get(f"/v1/flags/{name}", after=visit.after)
    many: dict[str, Any] = {"items": [], "next": None}
    if found["target"] == "prediction" and not found["prediction_id"]:
        many = await visit.get(f"/v1/flags/{name}/predictions", limit=PARTS)
    return visit.page(
        "flag",
        flag=found,
        many=many,
        ended=found["state"] in ENDED,
        said=visit.said("said"),
        severities=SEVERITIES,
        states=STATES[1:4],
        resolutions=RESOLUTIONS,
    )


async def _answer(visit: Visit) -> Response:
    """A comment, an owner, an answer, or the flag that says the same."""
    name, what = visit.request.path_params["flag"], visit.request.path_params["what"]
    comment = {"comment": visit.said("comment")}
    label = visit.said("label")
    bodies: dict[str, dict[str, Any]] = {
        "comment": comment,
        "triage": {
            "assignee": visit.said("assignee"),
            "severity": visit.said("severity"),
            "state": visit.said("state"),
            "due": moment(visit.said("due")),
        }
        | comment,
        "resolve": {"resolution": visit.said("resolution"), "label": _number(label)} | comment,
        "merge": {"into": visit.said("into")} | comment,
    }
    if what not in bodies:
        raise ProblemError(404, {"title": "No such page", "detail": f"One cannot '{what}' a flag."})
    path = f"/v1/flags/{quote(name, safe='')}/{'comments' if what == 'comment' else what}"
    wrote = await visit.post(path, bodies[what])
    return see(f"/flags/{quote(name, safe='')}", after=wrote["event_id"], said=what)


async def _file(visit: Visit) -> Response:
    """An attachment, as it came: to be saved, and never shown as a page of the console's."""
    path = f"/v1/attachments/{quote(visit.request.path_params['sha256'], safe='')}"
    answer = await visit.house.speaker.fetch(visit.session, path)
    kept = {name: answer.headers[name] for name in _KEPT if name in answer.headers}
    return Response(answer.content, headers=kept)


async def _notices(visit: Visit) -> Response:
    """What became of one's own flags, and what was said about those that one has to answer."""
    found = await visit.get("/v1/notices", limit=50, cursor=visit.said("cursor"), after=visit.after)
    return visit.page("notices", found=found)


def _number(text: str) -> float | str | None:
    """A number; what is none is left for the service to refuse."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("/flags", "GET", _flags),
    ("/flags/{flag}", "GET", _flag),
    ("/flags/{flag}/{what}", "POST", _answer),
    ("/queue", "GET", _queue),
    ("/notices", "GET", _notices),
    ("/files/{sha256}", "GET", _file),
)
