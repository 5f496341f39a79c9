"""The OpenAPI document of an app, completed by what all endpoints share: `?after=`, Idempotency-Key, problem answers,
and the shapes of lists and of answers to writes. What an operation declares itself stays."""

from typing import Any

from fastapi import FastAPI

from shared.runtime.problems import MEDIA_TYPE

Json = dict[str, Any]

MLFLOW = "/api/2.0/mlflow/"
"""Paths that answer errors in MLflow's form."""

AFTER: Json = {
    "name": "after",
    "in": "query",
    "required": False,
    "description": "Wait (bounded) until the views have seen this event: its id, a batch's, or a prediction's.",
    "schema": {"type": "string", "minLength": 32, "maxLength": 45},
}
KEY: Json = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes a repeated request answer as the first one did.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
}

SECURITY: Json = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, `mun_…`."},
    "key": {"type": "apiKey", "in": "header", "name": "X-Api-Key", "description": "The same key in a header."},
    "actor": {
        "type": "apiKey",
        "in": "header",
        "name": "X-Actor",
        "description": "Where no keys are set up, on this machine alone: who calls. Nobody named: `local`.",
    },
}

PROBLEMS = {
    400: "What was sent cannot be read: no JSON, a torn stream, a NUL character.",
    401: "No API key, or one that is not known.",
    403: "Too little right.",
    404: "There is no such thing; `nearby` names what there is.",
    409: "It conflicts with what was stated before, or with a request under way.",
    410: "It was there, and is no longer kept.",
    413: "The body is over the limit.",
    429: "Too many; Retry-After says when to come again.",
    415: "The body is of a type that is not taken here.",
    422: "What was sent is not valid; `errors` tell where.",
    502: "The remote inference server failed.",
    503: "Store or log cannot be reached, the views are behind, or all places are taken: try again.",
    504: "The remote inference server did not answer in time.",
}
OF_READING = (400, 401, 403, 404, 422, 503)
OF_WRITING = (*OF_READING, 409, 413, 415)

SCHEMAS: Json = {
    "Problem": {
        "type": "object",
        "description": "RFC 9457, with `fix`: what to do. Some problems have members of their own.",
        "required": ["type", "title", "status", "detail", "instance"],
        "properties": {
            "type": {"type": "string", "pattern": "^urn:muniment:problem:"},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "fix": {"type": "string"},
            "nearby": {"type": "array", "description": "What exists and may have been meant."},
            "errors": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "detail"],
                    "properties": {
                        "in": {"type": "string", "enum": ["body", "query", "path", "header", "cookie"]},
                        "pointer": {"type": "string", "description": "Where within, as a JSON pointer (RFC 6901)."},
                        "detail": {"type": "string"},
                    },
                },
            },
        },
    },
    "Written": {
        "type": "object",
        "description": "The answer to a write; `id` is null where nothing had to be stated, since it was so already.",
        "required": ["id", "event_id", "sequence", "type", "events"],
        "properties": {
            "id": {"type": ["string", "null"], "description": "Of the first event."},
            "event_id": {"type": ["string", "null"]},
            "sequence": {"type": "integer", "description": "The last event's place in its stream."},
            "type": {"type": ["string", "null"]},
            "events": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["id", "type", "sequence"],
                    "properties": {
                        "id": {"type": "string", "format": "uuid"},
                        "type": {"type": "string"},
                        "sequence": {"type": "integer"},
                    },
                },
            },
        },
    },
    "List": {
        "type": "object",
        "required": ["items", "next"],
        "properties": {
            "items": {"type": "array", "items": {"type": "object"}},
            "next": {"type": ["string", "null"], "description": "The cursor of the next page."},
        },
    },
}


def also(*statuses: int) -> dict[int | str, Json]:
    """For `responses=` of an endpoint that answers these problems beside those of all."""
    return {status: {"description": PROBLEMS[status]} for status in statuses}


def complete(app: FastAPI) -> None:
    """Let `app.openapi()` and /openapi.json answer the completed document."""
    plain = app.openapi

    def openapi() -> Json:
        if app.openapi_schema is None:
            finish(plain())
        return plain()

    app.openapi = openapi


def finish(document: Json) -> None:
    """Complete a document as FastAPI makes it, in place."""
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas |= {name: schema for name, schema in SCHEMAS.items() if name not in schemas}
    answers = {f"Problem{status}": _problem(status) for status in PROBLEMS}
    if any(path.startswith("/v2") for path in document["paths"]):
        answers |= {f"Protocol{status}": _protocol(status) for status in PROBLEMS}
    if any(path.startswith(MLFLOW) for path in document["paths"]):
        answers |= {f"Mlflow{status}": _mlflow(status) for status in PROBLEMS}
    document["components"]["responses"] = answers
    document["components"]["securitySchemes"] = SECURITY
    document["security"] = [{}, *({name: []} for name in SECURITY)]
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            _operation(path, method, operation)


def _operation(path: str, method: str, operation: Json) -> None:
    reads = method in ("get", "head")
    if path.startswith(("/v1/", "/v2/models")) and "dead-letters" not in path:
        named = {one["name"].lower() for one in operation.setdefault("parameters", [])}
        for parameter in (AFTER,) if reads else (AFTER, KEY):
            if parameter["name"].lower() not in named:
                operation["parameters"].append(parameter)
    responses = operation["responses"]
    if "HTTPValidationError" in str(responses.get("422")):
        del responses["422"]
    _successes(path, method, operation)
    kind = "Mlflow" if path.startswith(MLFLOW) else "Protocol" if path.startswith("/v2") else "Problem"
    shared = OF_READING if reads else OF_WRITING
    own = [int(status) for status in responses if status.isdigit() and int(status) in PROBLEMS]
    for status in sorted({*shared, *own}):
        if "content" not in responses.get(str(status), {}):
            responses[str(status)] = _ref("responses", f"{kind}{status}")


def _successes(path: str, method: str, operation: Json) -> None:
    """Say what the answer is where the operation does not: a list where there is a cursor, `Written` after a write."""
    responses = operation["responses"]
    for status, response in list(responses.items()):
        media = response.get("content", {}).get("application/json")
        if not status.startswith("2") or media is None or not _silent(media.get("schema", {})):
            continue
        if method == "get":
            listed = any(one["name"] == "cursor" for one in operation.get("parameters", ()))
            media["schema"] = _ref("schemas", "List") if listed else {"type": "object"}
        elif path.startswith("/v1/") and status != "202":
            media["schema"] = _ref("schemas", "Written")
            responses.setdefault("200", {"description": "It was so already.", "content": response["content"]})
        else:
            media["schema"] = {"type": "object"}


def _silent(schema: Json) -> bool:
    return not (schema.keys() - {"title", "type", "additionalProperties"}) and schema.get("type") in (None, "object")


def _problem(status: int) -> Json:
    return {"description": PROBLEMS[status], "content": {MEDIA_TYPE: {"schema": _ref("schemas", "Problem")}}}


def _protocol(status: int) -> Json:
    """Errors of the Open Inference Protocol, which add `error` to a problem; what never got to an endpoint is none."""
    problem = _ref("schemas", "Problem")
    own = {"allOf": [problem, {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}}]}
    content = {"application/json": {"schema": own}, MEDIA_TYPE: {"schema": problem}}
    return {"description": PROBLEMS[status], "content": content}


def _mlflow(status: int) -> Json:
    """Errors of MLflow's API; what never got to an endpoint is a problem."""
    said = {"error_code": {"type": "string"}, "message": {"type": "string"}}
    own = {"type": "object", "required": list(said), "properties": said}
    content = {"application/json": {"schema": own}, MEDIA_TYPE: {"schema": _ref("schemas", "Problem")}}
    return {"description": PROBLEMS[status], "content": content}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}
