"""The event language as an AsyncAPI 3.0 document. Source: AsyncAPI 3.0.0, with the CloudEvents and Kafka bindings."""

from typing import Any

from pydantic.json_schema import models_json_schema

from shared.events.catalog import SERVICES, TOPICS, TYPES, topics_of
from shared.events.envelope import BatchPayload, Payload

_ATTRIBUTES: dict[str, tuple[str, bool]] = {
    "ce_specversion": ("CloudEvents version, 1.0", True),
    "ce_id": ("UUID of the event: version 7, or 8 where it says that a person flagged something singly", True),
    "ce_source": ("/muniment/SERVICE that stated it", True),
    "ce_type": ("what happened", True),
    "ce_subject": ("the stream; also the record's key", True),
    "ce_time": ("when it happened, RFC 3339 UTC", True),
    "ce_sequence": ("place in its stream from 1; 0 for batches that go straight to the log", True),
    "ce_actor": ("who", True),
    "ce_dataschema": ("urn:muniment:event:TYPE:VERSION", True),
    "ce_causationid": ("id of the event that led to this one", False),
    "ce_correlationid": ("id of the request in whose course it was stated", False),
    "ce_recordedtime": ("when the log took it, RFC 3339 UTC", False),
    "ce_batch": ("of batch events: the facts about the batch, as JSON", False),
    "content-type": ("application/json, or application/vnd.apache.arrow.stream", True),
}


def document() -> dict[str, Any]:
    """The whole AsyncAPI document as plain data, in a stable order."""
    schemas = _schemas()
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Muniment events",
            "version": "1.0.0",
            "description": "Every fact about a model, as CloudEvents in Kafka's binary mode. Each type has one owner.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {_channel(topic): _channel_of(topic) for topic in TOPICS},
        "operations": {f"{service}-states": _operation(service) for service in SERVICES},
        "components": {
            "messages": {name: _message(name, cls) for name, cls in sorted(TYPES.items())},
            "messageTraits": {"cloudEvent": {"headers": _headers()}},
            "schemas": schemas,
        },
    }


def _channel(topic: str) -> str:
    return topic.removeprefix("muniment.")


def _types_on(topic: str) -> list[str]:
    return sorted(name for name, cls in TYPES.items() if topic in topics_of(cls))


def _channel_of(topic: str) -> dict[str, Any]:
    return {
        "address": topic,
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _types_on(topic)},
        "bindings": {
            "kafka": {"topic": topic, "topicConfiguration": {"cleanup.policy": ["delete"], "retention.ms": -1}}
        },
    }


def _operation(service: str) -> dict[str, Any]:
    own = sorted(name for name, cls in TYPES.items() if service == cls.OWNER)
    topics = sorted({topic for name in own for topic in topics_of(TYPES[name])})
    first = f"muniment.{service}"
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{_channel(first)}"},
        "summary": f"What only {service} may state (topics: {', '.join(topics)})",
        "messages": [{"$ref": f"#/channels/{_channel(first)}/messages/{name}"} for name in _types_on(first)],
    }


def _message(name: str, cls: type[Payload]) -> dict[str, Any]:
    batch = issubclass(cls, BatchPayload)
    described: dict[str, Any] = {
        "name": name,
        "title": name,
        "summary": " ".join((cls.__doc__ or name).split()),
        "contentType": "application/vnd.apache.arrow.stream" if batch else "application/json",
        "traits": [{"$ref": "#/components/messageTraits/cloudEvent"}],
        "x-version": cls.VERSION,
        "x-owner": cls.OWNER,
    }
    if batch:
        described["x-batch-facts"] = {"$ref": f"#/components/schemas/{name}"}
        described["payload"] = {"type": "string", "format": "binary", "description": "Arrow IPC stream of one batch"}
    else:
        described["payload"] = {"$ref": f"#/components/schemas/{name}"}
    return described


def _headers() -> dict[str, Any]:
    return {
        "type": "object",
        "required": [name for name, (_, required) in _ATTRIBUTES.items() if required],
        "properties": {name: {"type": "string", "description": text} for name, (text, _) in _ATTRIBUTES.items()},
    }


def _schemas() -> dict[str, Any]:
    models = [(cls, "serialization") for _, cls in sorted(TYPES.items())]
    _, top = models_json_schema(models, ref_template="#/components/schemas/{model}")  # type: ignore[arg-type]
    return dict(sorted(top["$defs"].items()))
