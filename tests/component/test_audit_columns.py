"""Columns in the lineage graph, up and down, as of both times."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.audit.service import DEFINITION
from shared.events import registry
from tests.component.audit_given import Story
from tests.support import System, running
from tests.unit.audit.facts import ARTIFACT, day, deployed

OUT = (registry.Field(name="p", type="double"),)


@pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with running(DEFINITION, partitions=request.param) as system:
        yield system


def column(name: str, *sources: str) -> registry.Column:
    return registry.Column(name=name, type="double", description=f"the {name}", sources=sources)


async def dataset(story: Story, name: str, version: int, at: float, *columns: registry.Column) -> None:
    payload = registry.DatasetRegistered(dataset=name, version=version, uri="x", columns=columns)
    await story.say(f"dataset/{name}", payload, at)


async def run(story: Story, at: float, inputs: dict[str, int], outputs: dict[str, int]) -> None:
    refs = [[registry.DatasetRef(dataset=n, version=v) for n, v in one.items()] for one in (inputs, outputs)]
    payload = registry.PipelineRunRecorded(
        pipeline="join",
        run=f"r{at}",
        state="succeeded",
        started_at=day(at),
        inputs=tuple(refs[0]),
        outputs=tuple(refs[1]),
    )
    await story.say("pipeline/join", payload, at)


async def version(story: Story, number: int, data: int, at: float, *inputs: str) -> None:
    payload = registry.ModelVersionRegistered(
        model="flights",
        version=number,
        artifact=ARTIFACT,
        signature=registry.Signature(
            inputs=tuple(registry.Field(name=one, type="double") for one in inputs), outputs=OUT
        ),
        training_data=(registry.DatasetRef(dataset="train", version=data),),
    )
    await story.say("model/flights", payload, at)


@pytest.fixture
async def story(system: System) -> Story:
    """raw.flights (two versions) and weather make train@1, of raw.flights@1; train@2 takes wind no more."""
    story = Story(system)
    await dataset(story, "raw.flights", 1, 1, column("dep"), column("tail"))
    await dataset(story, "weather", 1, 1, column("wind"))
    await dataset(story, "raw.flights", 2, 2, column("dep"), column("tail"))
    sources = ("raw.flights.dep", "weather.wind")
    await dataset(story, "train", 1, 3, column("delay", *sources), column("id", "raw.flights.tail"))
    await story.say("pipeline/join", registry.PipelineRegistered(pipeline="join"), 3)
    await run(story, 3, {"raw.flights": 1, "weather": 1}, {"train": 1})
    await story.say("model/flights", registry.ModelRegistered(model="flights", owner="dan"), 4)
    await version(story, 1, 1, 4, "delay")
    await story.say("deployment/late", deployed(1), 5)
    await dataset(story, "train", 2, 6, column("delay", "raw.flights.dep", "nowhere.gone"))
    await version(story, 2, 2, 7, "delay", "other")
    await system.settle()
    return story


async def lineage(system: System, name: str, kind: str = "column", **parameters: Any) -> dict[str, Any]:
    answer = await system.client.get(f"/v1/lineage/{kind}/{name}", params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def edges(answer: dict[str, Any], *roles: str) -> set[tuple[str, str]]:
    wanted = roles or ("source", "input")
    return {(one["src"], one["dst"]) for one in answer["edges"] if one["role"] in wanted}


def nodes(answer: dict[str, Any]) -> set[str]:
    return {f"{one['kind']}/{one['id']}" for one in answer["nodes"]}


async def test_up_to_what_a_column_was_made_of_and_by_which_run(system: System, story: Story) -> None:
    answer = await lineage(system, "train@1.delay", direction="up")
    delay = "column/train@1.delay"
    assert edges(answer) == {(delay, "column/raw.flights@1.dep"), (delay, "column/weather@1.wind")}
    assert {"dataset/train@1", "dataset/raw.flights@1", "dataset/weather@1", "run/join/r3", "pipeline/join"} <= nodes(
        answer
    )
    assert "column/train@1.id" not in nodes(answer)
    (told,) = [one for one in answer["nodes"] if one["id"] == "train@1.delay"]
    assert (told["attributes"]["description"], told["attributes"]["version"], len(told["events"])) == (
        "the delay",
        1,
        1,
    )
    assert answer["truncated"] is False


async def test_down_to_what_was_made_of_it_and_what_takes_it_in(system: System, story: Story) -> None:
    wind = await lineage(system, "weather@1.wind", direction="down")
    one = "column/train@1.delay"
    assert edges(wind) == {(one, "column/weather@1.wind"), ("version/flights@1", one)}
    assert "deployment/late" in nodes(wind)
    newest = await lineage(system, "raw.flights.dep", direction="down")
    two = "column/train@2.delay"
    assert edges(newest) == {(two, "column/raw.flights@2.dep"), ("version/flights@2", two)}
    assert edges(await lineage(system, "raw.flights@1.tail", direction="down")) == {
        ("column/train@1.id", "column/raw.flights@1.tail")
    }


async def test_both_directions_at_once_and_each_step_costs_depth(system: System, story: Story) -> None:
    answer = await lineage(system, "train@1.delay")
    assert ("version/flights@1", "column/train@1.delay") in edges(answer)
    assert ("column/train@1.delay", "column/weather@1.wind") in edges(answer)
    assert edges(await lineage(system, "weather@1.wind", depth=0)) == set()
    assert edges(await lineage(system, "weather@1.wind", depth=1)) == {
        ("column/train@1.delay", "column/weather@1.wind")
    }
    two = await lineage(system, "weather@1.wind", depth=2)
    assert "version/flights@1" in nodes(two)
    assert "deployment/late" not in nodes(two)


async def test_as_of_a_time_before_it_was_said_a_column_is_not_there(system: System, story: Story) -> None:
    early = await lineage(system, "weather@1.wind", at=day(2).isoformat())
    assert edges(early) == set()
    answer = await system.client.get("/v1/lineage/column/train.delay", params={"at": day(2).isoformat()})
    assert answer.status_code == 404
    then = await lineage(system, "train.delay", at=day(5.5).isoformat(), direction="up")
    assert ("column/train@1.delay", "column/weather@1.wind") in edges(then)
    assert (await lineage(system, "train.delay", direction="up"))["id"] == "train.delay"


async def test_a_version_shows_its_columns_when_asked(system: System, story: Story) -> None:
    plain = await lineage(system, "flights@1", "version")
    assert not [one for one in nodes(plain) if one.startswith("column/")]
    answer = await lineage(system, "flights@1", "version", columns=True, direction="up")
    delay = "column/train@1.delay"
    assert {edge for edge in edges(answer) if not edge[0].startswith("run/")} == {
        ("version/flights@1", delay),
        (delay, "column/raw.flights@1.dep"),
        (delay, "column/weather@1.wind"),
    }
    assert all(one["attributes"] for one in answer["nodes"] if one["kind"] == "column")


async def test_a_picture_has_columns(system: System, story: Story) -> None:
    for form, mark in (("svg", "<svg"), ("mermaid", "flowchart")):
        answer = await system.client.get("/v1/lineage/column/train@1.delay", params={"format": form})
        assert answer.status_code == 200
        assert mark in answer.text
        assert "delay" in answer.text


async def test_an_unknown_column_is_told_with_what_is_near(system: System, story: Story) -> None:
    answer = await system.client.get("/v1/lineage/column/train@1.dellay")
    assert answer.status_code == 404
    assert "train@1.delay" in answer.text


async def test_columns_made_of_each_other_end(system: System) -> None:
    story = Story(system)
    await dataset(story, "a", 1, 1, column("x", "a.y"), column("y", "a.x"))
    await system.settle()
    assert len(edges(await lineage(system, "a.x"))) == 2
