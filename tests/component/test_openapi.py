"""Every endpoint answers as its OpenAPI document says, whatever is sent to it; schemathesis makes the requests.

What is common to all endpoints is declared in `shared.runtime.openapi`; each declares beside it what it alone answers.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, reject, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi import checks

from shared.runtime.app import create_app
from tests.component.whole_story import DEFINITIONS, Story, told

EXAMPLES = 8
ENDLESS = ("/v1/stream", "/v1/notices/stream")
CHECKS = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
]
SAID_503 = (
    *("view-behind", "model-not-ready", "export-busy", "too-many-exports"),
    *("explanation-too-slow", "explanation-starting", "explanation-busy"),
    "TEMPORARILY_UNAVAILABLE",  # MLflow's word for view-behind
)
"""What an answer of 503 may say here, where store and log are always there."""


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def story(runner: asyncio.Runner, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """All services in one app; waits are short, since nothing moves on its own here."""
    stack = AsyncExitStack()
    folder: Path = tmp_path_factory.mktemp("models")
    yield runner.run(stack.enter_async_context(told(folder, max_wait_seconds=0.01, explanation_seconds=0.2)))
    runner.run(stack.aclose())


def names(story: Story, path: str) -> dict[str, Any]:
    """Path parameters under which there is something."""
    found: dict[str, Any] = {"version": 1, "other": 2, "alias": "best", "kind": "model", "name": "late"}
    found |= {"prediction_id": story.prediction, "flag": story.flag, "event_id": story.event}
    found |= {"verification": story.verification, "stage": "production"}
    things = {"goals": "warn", "kpis": "cost", "datasets": "flights", "pipelines": "train"}
    return found | {"name": things.get(path.split("/")[2], "late")}


@pytest.mark.parametrize("service", DEFINITIONS)
def test_every_answer_is_one_that_the_document_declares(service: str, story: Story, runner: asyncio.Runner) -> None:
    parts = [story.system.parts[service]]
    document = create_app(service, parts, story.system.settings).openapi()
    operations = [one.ok() for one in schemathesis.openapi.from_dict(document).get_all_operations()]
    assert len(operations) == sum(len(methods) for methods in document["paths"].values())
    tried = 0
    for operation in operations:
        if operation.path not in ENDLESS:
            _try(operation, story, runner)
            tried += 1
    assert tried
    runner.run(story.system.settle())
    assert runner.run(_dead_letters(story)) == []


@pytest.mark.parametrize("service", DEFINITIONS)
def test_a_number_is_no_time(service: str, story: Story, runner: asyncio.Runner) -> None:
    document = create_app(service, [story.system.parts[service]], story.system.settings).openapi()
    taken: list[str] = []
    tried = 0
    for path, methods in document["paths"].items():
        filled = path.format_map(defaultdict(lambda: "1", stage="production"))
        for method, operation in methods.items():
            for request in _timed(document, operation):
                answer = runner.run(story.system.client.request(method, filled, **request))
                tried += 1
                if answer.status_code != 422 or "a number is none" not in answer.text:
                    taken.append(f"{method} {path} {request}: {answer.status_code} {answer.text:.200}")
    assert tried
    assert taken == []


def _timed(document: dict[str, Any], operation: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Requests that say a number where the operation takes a time."""
    for one in operation.get("parameters", []):
        if one["in"] == "query" and _is_time(document, one["schema"]):
            yield {"params": {one["name"]: "2013"}}
    for kind, body in operation.get("requestBody", {}).get("content", {}).items():
        if kind == "application/json":
            for pointer in _times(document, body["schema"]):
                said: Any = 2013
                for name in reversed(pointer):
                    said = {name: said}
                yield {"json": said}


def _times(document: dict[str, Any], schema: dict[str, Any], depth: int = 3) -> Iterator[tuple[str, ...]]:
    """Where in a body times are, as far as objects lie in objects."""
    for one in _meant(document, schema):
        for name, inner in one.get("properties", {}).items():
            if _is_time(document, inner):
                yield (name,)
            elif depth:
                yield from ((name, *rest) for rest in _times(document, inner, depth - 1))


def _is_time(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    return any(one.get("format") == "date-time" for one in _meant(document, schema))


def _meant(document: dict[str, Any], schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    yield schema
    for one in schema.get("anyOf", []):
        yield from _meant(document, one)


def _try(operation: Any, story: Story, runner: asyncio.Runner) -> None:
    valid = operation.as_strategy(GenerationMode.POSITIVE)
    cases = st.one_of(valid, operation.as_strategy(GenerationMode.NEGATIVE)) if _can_be_wrong(operation) else valid

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases, known=st.booleans())
    def one(case: Case, known: bool) -> None:
        if known and case.path_parameters:
            case.path_parameters = {**case.path_parameters, **_same(case.path_parameters, names(story, case.path))}
        if case.query:
            case.query.pop("after", None)  # which answers 422 to nearly everything, and is tested elsewhere
        try:
            answer = runner.run(_ask(story, case))
        except httpx.InvalidURL:  # longer than the client sends
            reject()
        if answer.status_code >= 500:
            assert answer.status_code == 503, f"{case.as_curl_command()}\n{answer.text}"
            said = answer.json().get("type") or answer.json()["error_code"]
            assert said.rpartition(":")[2] in SAID_503, f"{case.as_curl_command()}\n{answer.text}"
        case.validate_response(answer, checks=CHECKS)

    one()


async def _dead_letters(story: Story) -> list[str]:
    """Whatever was accepted, every view can take it in."""
    reasons: list[str] = []
    for store in story.system.stores.values():
        async with store.begin() as unit:
            reasons += [f"{one.consumer} {one.record.key!r:.100}: {one.reason}" for one in await unit.dead_letters()]
    return reasons


def _same(given: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in known.items() if name in given}


def _can_be_wrong(operation: Any) -> bool:
    return bool(operation.body or operation.query or operation.path_parameters)


async def _ask(story: Story, case: Case) -> Any:
    prepared = requests.Request(**case.as_transport_kwargs(base_url="http://127.0.0.1")).prepare()
    body = prepared.body.encode() if isinstance(prepared.body, str) else prepared.body
    headers = {name: value for name, value in prepared.headers.items() if name.lower() != "host"}
    assert prepared.method is not None
    return await story.system.client.request(prepared.method, str(prepared.url), content=body, headers=headers)
