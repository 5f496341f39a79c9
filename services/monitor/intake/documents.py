"""The bodies of the intake in OpenAPI's words, since the endpoints read them raw."""

from typing import Any

from services.monitor.intake.arrow_rows import MEDIA_TYPE

_TIME = {"type": "string", "format": "date-time", "description": "RFC 3339 with offset; default: now"}
_TEXT = {"type": "string", "minLength": 1, "maxLength": 200}
_VALUES = {"type": "object", "additionalProperties": {"type": ["number", "boolean", "string", "null"]}}


def _object(required: list[str], **properties: Any) -> dict[str, Any]:
    return {"type": "object", "required": required, "additionalProperties": False, "properties": properties}


_ACCEPTED = {
    "type": "object",
    "required": ["accepted", "batch"],
    "properties": {
        "accepted": {"type": "integer", "minimum": 1},
        "batch": {"type": "string", "format": "uuid", "description": "For ?after=, and the event's id in the log."},
        "ids": {"type": "array", "items": {"type": "string"}, "description": "Of a JSON body's predictions, in order."},
    },
}


def _body(schema: dict[str, Any], columns: str) -> dict[str, Any]:
    arrow = {"schema": {"type": "string", "format": "binary", "description": columns}}
    content = {"application/json": {"schema": schema}, MEDIA_TYPE: arrow}
    answer = {"description": "The log has acknowledged it.", "content": {"application/json": {"schema": _ACCEPTED}}}
    return {"requestBody": {"required": True, "content": content}, "responses": {"202": answer}}


PREDICTIONS_DOC = _body(
    _object(
        ["deployment", "version", "predictions"],
        deployment=_TEXT,
        version={"type": "integer"},
        predictions={
            "type": "array",
            "minItems": 1,
            "maxItems": 10_000,
            "items": _object(
                ["features", "output"],
                id=_TEXT,
                at=_TIME,
                entity=_TEXT,
                segment=_TEXT,
                features=_VALUES,
                output=_VALUES,
            ),
        },
    ),
    "Arrow IPC stream with the columns id?, at?, entity?, segment?, feature.NAME, output.NAME; target in the query",
)

OUTCOMES_DOC = _body(
    _object(
        ["outcomes"],
        outcomes={
            "type": "array",
            "minItems": 1,
            "maxItems": 10_000,
            "items": _object(
                ["prediction_id", "value"], prediction_id=_TEXT, value={"type": ["number", "boolean"]}, at=_TIME
            ),
        },
    ),
    "Arrow IPC stream with the columns prediction_id, value, at?",
)
