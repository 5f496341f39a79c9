"""OpenLineage events read into the classes of the official client, which know each facet's members, and a consumer."""

import importlib
import json
import pkgutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import attr
from openlineage.client import event_v2, generated

EVENTS = {"RunEvent": event_v2.RunEvent, "JobEvent": event_v2.JobEvent, "DatasetEvent": event_v2.DatasetEvent}


def classes() -> dict[str, type]:
    """Schema URL → the client's class of it."""
    found: dict[str, type] = {}
    for module in pkgutil.iter_modules(generated.__path__):
        for cls in vars(importlib.import_module(f"{generated.__name__}.{module.name}")).values():
            if isinstance(cls, type) and attr.has(cls) and hasattr(cls, "_get_schema"):
                found[cls._get_schema()] = cls
    return found


def read(event: dict[str, Any]) -> Any:
    """One event. Raises where a member is missing, unknown or malformed."""
    kind = event["schemaURL"].rpartition("/")[2]
    fields = {name: value for name, value in event.items() if name != "schemaURL"}
    if "run" in fields:
        fields["run"] = event_v2.Run(**_with_facets(fields["run"]))
    if "job" in fields:
        fields["job"] = event_v2.Job(**_with_facets(fields["job"]))
    if "dataset" in fields:
        fields["dataset"] = event_v2.StaticDataset(**_with_facets(fields["dataset"]))
    for side, cls in (("inputs", event_v2.InputDataset), ("outputs", event_v2.OutputDataset)):
        if side in fields:
            fields[side] = [cls(**_with_facets(one)) for one in fields[side]]
    if "eventType" in fields:
        fields["eventType"] = event_v2.RunState(fields["eventType"])
    made = EVENTS[kind](**fields)
    assert made.schemaURL == event["schemaURL"]
    return made


def _with_facets(thing: dict[str, Any]) -> dict[str, Any]:
    known = classes()
    facets: dict[str, Any] = {}
    for name, facet in thing["facets"].items():
        cls = known[facet["_schemaURL"]]
        members = {key: value for key, value in facet.items() if not key.startswith("_")}
        facets[name] = cls(producer=facet["_producer"], **members)
    return {**thing, "facets": facets}


@contextmanager
def consumer() -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A small OpenLineage consumer over HTTP: (URL, the events that it took)."""
    taken: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.path == "/api/v1/lineage"
            taken.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(201)
            self.end_headers()

        def log_message(self, format: str, *arguments: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", taken
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
