"""Flags by the thousand: by a query or a file, as a job whose progress is shown."""

from typing import Any

from starlette.datastructures import UploadFile
from starlette.responses import Response

from console.deciding import SEARCHED, value_of
from console.visit import Handler, Visit, see
from muniment.errors import ProblemError

KINDS = {"csv": "text/csv", "parquet": "application/vnd.apache.parquet"}
GOING = ("requested", "running")
REFRESH_SECONDS = 1


async def _form(visit: Visit) -> Response:
    """What to flag, filled in with what was searched for; and the bulks there were."""
    names = [one["name"] for one in (await visit.get("/v1/deployments", limit=1_000))["items"]]
    asked = {name: visit.said(name) for name in SEARCHED}
    found = await visit.get("/v1/flags:bulk", limit=20, cursor=visit.said("cursor"))
    where = "\n".join(_bounds(asked))
    return visit.page("many", deployments=names, asked=asked, where=where, found=found)


async def _by_query(visit: Visit) -> Response:
    """All predictions that meet every condition."""
    query: dict[str, Any] = {name: visit.said(name) or None for name in ("deployment", "segment", "entity")}
    query |= {name: moment(visit.said(name)) for name in ("from", "to")}
    version = visit.said("version")
    query["version"] = int(version) if version.isdigit() else (version or None)
    query["where"] = [_condition(line) for line in visit.said("where").splitlines() if line.strip()]
    body = {
        "category": visit.said("category"),
        "severity": visit.said("severity"),
        "comment": visit.said("comment"),
        "expected": value_of(visit.said("expected")),
        "query": {name: value for name, value in query.items() if value is not None},
    }
    return _on(await visit.post("/v1/flags:bulk", body))


async def _by_file(visit: Visit) -> Response:
    """All that a CSV or Parquet file lists."""
    file = visit.form.get("file")
    if not isinstance(file, UploadFile) or not file.size:
        raise ProblemError(422, {"title": "No file", "detail": "Choose a CSV or Parquet file with ids of predictions."})
    kind = KINDS.get((file.filename or "").rpartition(".")[2].lower())
    if kind is None:
        detail = f"'{file.filename}' is neither a .csv nor a .parquet file."
        raise ProblemError(415, {"title": "Another kind of file", "detail": detail})
    said = {name: visit.said(name) for name in ("category", "severity", "comment")}
    return _on(await visit.send("/v1/flags:upload", await file.read(), kind, **said))


async def _one(visit: Visit) -> Response:
    """How far a bulk is; asked again by the browser until it has ended."""
    found = await visit.get(f"/v1/flags:bulk/{visit.request.path_params['bulk']}", after=visit.after)
    going = found["state"] in GOING
    return visit.page("bulk", refresh=REFRESH_SECONDS if going else 0, bulk=found, going=going)


def _on(asked: dict[str, Any]) -> Response:
    return see(f"/bulks/{asked['id']}")


def _bounds(asked: dict[str, str]) -> list[str]:
    """The bounds of a search as conditions, where it says of which output they are."""
    column = f"output.{asked['output']}"
    pairs = ((">=", asked["min_output"]), ("<=", asked["max_output"]))
    return [f"{column} {op} {value}" for op, value in pairs if asked["output"] and value]


def moment(text: str) -> str | None:
    """A time as people give it, which is UTC where they name no zone; a day is its first moment."""
    if not text:
        return None
    text = f"{text}T00:00:00" if len(text) == len("2013-07-03") else text.replace(" ", "T", 1)
    return text if text[-1] in "Zz" or "+" in text[10:] or "-" in text[10:] else f"{text}Z"


def _condition(line: str) -> dict[str, Any]:
    """`COLUMN OP VALUE`. Raises ProblemError."""
    parts = line.split(None, 2)
    if len(parts) != 3:
        detail = f"'{line.strip()}' is no condition: write one a line, such as output.probability > 0.8"
        raise ProblemError(422, {"title": "Bad condition", "detail": detail})
    return {"column": parts[0], "op": parts[1], "value": value_of(parts[2])}


PAGES: tuple[tuple[str, str, Handler], ...] = (
    ("/bulks", "GET", _form),
    ("/bulks", "POST", _by_query),
    ("/bulks/file", "POST", _by_file),
    ("/bulks/{bulk}", "GET", _one),
)
