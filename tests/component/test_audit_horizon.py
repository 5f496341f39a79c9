"""Answers about now while events are still on their way to the ledger."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Any

import pytest

from services.audit.service import DEFINITION
from shared.events import deployer, monitor, registry
from shared.log.log import LogUnavailable
from shared.log.records import TopicPartition
from tests.component.audit_given import V1, Story, told
from tests.support import System, running
from tests.unit.audit.facts import day, event_id, predictions, traffic

QUIET = {"complete": True, "behind_seconds": 0.0, "waiting": {}}
PROMOTED = deployer.Promoted(deployment="late", model="flights", before=traffic(2), after=traffic(1))
LATER = event_id(990)
QUESTIONS = (
    "/v1/estate",
    "/v1/lineage/model/flights",
    "/v1/timeline/deployment/late",
    "/v1/touched/model/flights",
    "/v1/dossier/LH-1",
    "/v1/lineage/prediction/LH-1",
)


@pytest.fixture(params=[1, 3], ids=["one partition", "three partitions"])
async def system(request: pytest.FixtureRequest) -> AsyncIterator[System]:
    async with running(DEFINITION, partitions=request.param) as system:
        yield system


@pytest.fixture
async def story(system: System) -> Story:
    return await told(system)


async def get(system: System, path: str, **parameters: Any) -> dict[str, Any]:
    answer = await system.client.get(path, params=parameters)
    assert answer.status_code == 200, answer.text
    return answer.json()


def champion(answer: dict[str, Any]) -> int:
    return answer["items"][0]["champion"]["version"]


async def promote(story: Story, recorded: float = 20) -> None:
    await story.say("deployment/late", PROMOTED, 20, recorded=recorded, actor="eve")


@pytest.mark.parametrize("path", QUESTIONS)
async def test_an_answer_says_that_nothing_waits(system: System, story: Story, path: str) -> None:
    assert (await get(system, path))["ledger"] == QUIET


async def test_while_an_event_waits_the_answer_is_that_of_the_moment_before_it_and_says_so(
    system: System, story: Story
) -> None:
    await promote(story)
    answer = await get(system, "/v1/estate")
    assert champion(answer) == 2
    assert datetime.fromisoformat(answer["known_at"]) < day(20)
    assert answer["ledger"]["complete"] is True
    assert answer["ledger"]["waiting"] == {"muniment.deployer": 1}
    assert answer["ledger"]["behind_seconds"] > 0
    await system.settle()
    again = await get(system, "/v1/estate", at=answer["at"], known_at=answer["known_at"])
    assert again == answer | {"ledger": QUIET}
    assert champion(await get(system, "/v1/estate")) == 1


async def test_what_was_recorded_after_the_oldest_that_waits_is_not_claimed_although_the_ledger_has_it(
    system: System, story: Story
) -> None:
    await promote(story, recorded=30)
    await system.settle()
    assert champion(await get(system, "/v1/estate")) == 1
    await story.say("goal/warn", registry.GoalStated(goal="warn", question="how late?", owner="ana"), 25, recorded=25)
    answer = await get(system, "/v1/estate")
    assert champion(answer) == 2
    await system.settle()
    assert (await get(system, "/v1/estate", at=answer["at"], known_at=answer["known_at"]))["items"] == answer["items"]


async def test_asked_for_what_it_cannot_know_yet_it_says_that_something_is_missing(
    system: System, story: Story
) -> None:
    await promote(story)
    answer = await get(system, "/v1/estate", known_at=day(21).isoformat())
    assert (answer["ledger"]["complete"], answer["ledger"]["waiting"]) == (False, {"muniment.deployer": 1})
    assert (await get(system, "/v1/estate", known_at=day(19).isoformat()))["ledger"] == QUIET


async def test_predictions_that_wait_hold_back_only_what_is_said_of_predictions(system: System, story: Story) -> None:
    logged = monitor.PredictionLogged(**V1, rows=2, start=day(20), end=day(20))
    await story.say(f"batch/{LATER}", logged, 20, table=predictions(), name=LATER)
    assert (await get(system, "/v1/estate"))["ledger"] == QUIET
    for path in ("/v1/touched/model/flights", "/v1/dossier/LH-1", "/v1/timeline/deployment/late"):
        answer = await get(system, path, **({"bulk": True} if "timeline" in path else {}))
        assert answer["ledger"]["waiting"] == {"muniment.predictions": 1}, path
        assert datetime.fromisoformat(answer["known_at"]) < day(20)


async def test_who_waited_for_an_event_sees_it_whatever_else_waits(system: System, story: Story) -> None:
    await promote(story, recorded=30)
    await system.settle()
    items = (await get(system, "/v1/events", type="Promoted", recorded_from=day(29).isoformat()))["items"]
    await story.say("goal/warn", registry.GoalStated(goal="warn", question="how late?", owner="ana"), 25, recorded=25)
    answer = await get(system, "/v1/estate", after=items[0]["id"])
    assert (champion(answer), answer["ledger"]["complete"]) == (1, False)


async def test_without_the_log_an_answer_claims_what_it_holds_and_says_that_it_does_not_know(
    system: System, story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(topics: Sequence[str]) -> dict[TopicPartition, Any]:
        raise LogUnavailable("gone")

    monkeypatch.setattr(system.log, "bounds", away)
    answer = await get(system, "/v1/estate")
    assert (champion(answer), answer["ledger"]["complete"]) == (2, None)
    newest = (await system.client.get("/v1/events", params={"recorded_from": answer["known_at"]})).json()["items"]
    assert [one["recordedtime"] for one in newest] == [answer["known_at"]]


async def test_a_report_and_an_export_speak_of_the_same_moment(system: System, story: Story) -> None:
    await promote(story)
    report = await get(system, "/v1/reports/flights")
    assert report["known_at"] == "2013-01-20T23:59:59.999999Z"
    assert "2013-01-21T" not in (await system.client.get("/v1/export/prov/flights")).text
    await system.settle()
    assert "2013-01-21T" in (await system.client.get("/v1/export/prov/flights")).text


async def test_a_scheduled_report_waits_until_its_period_is_in_the_ledger(tmp_path: Any) -> None:
    async with running(DEFINITION, report_schedule="monthly") as system:
        story = await told(system)  # its first reports, as of the last month's end
        before = (await get(system, "/v1/issued-reports"))["items"]
        assert before
        model = registry.ModelRegistered(model="later", owner="ana")
        await story.say("model/later", model, 12, recorded=12)
        issuer = next(one for one in system.parts["audit"].periodic if one.name == "audit.reports")
        await issuer.job()
        assert (await get(system, "/v1/issued-reports"))["items"] == before
        await system.settle()
        found = (await get(system, "/v1/issued-reports"))["items"]
        assert {one["model"] for one in found} == {None, "flights", "later"}
