"""The client repeats only what is safe to repeat, and says why it gave up."""

from collections.abc import Callable
from pathlib import Path

import httpx
import numpy as np
import orjson
import pyarrow as pa
import pytest

from muniment.client import Client, ProblemError, UnreachableError

Answer = Callable[[httpx.Request], httpx.Response]


def client(*answers: Answer | httpx.Response | Exception, patience: float = 5.0) -> tuple[Client, list[httpx.Request]]:
    """A client whose requests get these answers in turn, and the requests that it sent."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        one = answers[min(len(sent), len(answers)) - 1]
        if isinstance(one, Exception):
            raise one
        return one if isinstance(one, httpx.Response) else one(request)

    http = httpx.Client(transport=httpx.MockTransport(answer))
    return Client("http://muniment", actor="maria", patience=patience, http=http), sent


def problem(status: int, code: str) -> httpx.Response:
    return httpx.Response(status, json={"type": f"urn:muniment:problem:{code}", "detail": "so it is"})


def test_a_write_is_repeated_under_the_same_key_until_it_is_answered() -> None:
    lost = httpx.ReadTimeout("lost")
    one, sent = client(lost, problem(503, "not-ready"), problem(409, "request-in-flight"), httpx.Response(201, json={}))
    one.post("/v1/goals", {"name": "g"})
    assert len(sent) == 4
    assert len({request.headers["Idempotency-Key"] for request in sent}) == 1
    assert {request.headers["X-Actor"] for request in sent} == {"maria"}


def test_two_writes_have_two_keys() -> None:
    one, sent = client(httpx.Response(201, json={}))
    one.post("/v1/goals", {})
    one.post("/v1/goals", {})
    assert sent[0].headers["Idempotency-Key"] != sent[1].headers["Idempotency-Key"]


def test_a_refusal_is_not_repeated_and_carries_its_document() -> None:
    one, sent = client(problem(409, "gate-closed"))
    with pytest.raises(ProblemError, match="so it is") as refused:
        one.post("/v1/deployments", {})
    assert (len(sent), refused.value.status, refused.value.code) == (1, 409, "gate-closed")


def test_who_never_answers_is_given_up_on() -> None:
    one, _ = client(httpx.ConnectError("refused"), patience=0.0)
    with pytest.raises(UnreachableError, match="http://muniment/v1/goals"):
        one.get("/v1/goals")


def test_a_503_that_stays_is_told_as_the_problem_it_is() -> None:
    one, _ = client(problem(503, "view-behind"), patience=0.0)
    with pytest.raises(ProblemError) as refused:
        one.get("/v1/goals", after="x")
    assert refused.value.code == "view-behind"


def test_pages_are_followed_to_the_last() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        last = request.url.params.get("cursor") == "2"
        return httpx.Response(200, json={"items": [{"n": 2 if last else 1}], "next": None if last else "2"})

    one, _ = client(answer)
    assert [item["n"] for item in one.pages("/v1/flags", state="open")] == [1, 2]


def test_inference_goes_as_columns_and_comes_back_as_arrays() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        assert body["inputs"][0] == {"name": "x", "shape": [2], "datatype": "FP64", "data": [1.0, 2.5]}
        assert body["inputs"][1] == {"name": "who", "shape": [2], "datatype": "BYTES", "data": ["a", "b"]}
        assert body["parameters"] == {"entity": ["e", "f"]}
        outputs = [{"name": "p", "shape": [2, 1], "datatype": "FP32", "data": [0.25, 0.5]}]
        return httpx.Response(
            200, json={"parameters": {"prediction_ids": ["i", "j"], "versions": [1, 2]}, "outputs": outputs}
        )

    one, _ = client(answer)
    found = one.infer("late", {"x": np.array([1.0, 2.5]), "who": ["a", "b"]}, entity=["e", "f"])
    assert found.ids == ["i", "j"]
    assert found.versions.tolist() == [1, 2]
    assert found.outputs["p"].tolist() == [0.25, 0.5]


def test_outcomes_go_as_one_arrow_stream() -> None:
    table = pa.table({"prediction_id": ["a", "b"], "value": [0.0, 1.0]})

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["Content-Type"] == "application/vnd.apache.arrow.stream"
        assert pa.ipc.open_stream(request.content).read_all().equals(table)
        return httpx.Response(202, json={"accepted": 2, "batch": "b"})

    one, _ = client(answer)
    assert one.outcomes(table) == {"accepted": 2, "batch": "b"}


def test_an_export_goes_into_a_file_part_by_part(tmp_path: Path) -> None:
    one, sent = client(httpx.Response(200, content=b"PAR1"), problem(404, "unknown-deployment"))
    with (tmp_path / "late.parquet").open("wb") as file:
        assert one.export("late/a", file, from_="2013-04-01T00:00:00Z", version=2, segment=None) == 4
        with pytest.raises(ProblemError, match="so it is"):
            one.export("lat", file)
    assert (tmp_path / "late.parquet").read_bytes() == b"PAR1"
    assert sent[0].url.raw_path.startswith(b"/v1/deployments/late%2Fa/predictions?")
    assert dict(sent[0].url.params) == {"format": "parquet", "from": "2013-04-01T00:00:00Z", "version": "2"}
