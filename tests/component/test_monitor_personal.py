"""Personal values: encrypted before the log, read by who may, erased for good; and every place they could leak to."""

import asyncio
import io
import logging
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import structlog

from services.deployer.service import DEFINITION as DEPLOYER
from services.monitor.service import DEFINITION
from shared.events import batches, deployer, registry
from shared.events.catalog import TOPIC_PREDICTIONS
from shared.events.monitor import SubjectForgotten
from shared.keyring.keyring import KeyringUnavailable
from shared.log.store import UnitOfWork
from shared.runtime.observability import configure_logs
from shared.runtime.rebuilding import rebuild
from shared.runtime.settings import Settings
from tests.component.monitor_story import ARTIFACT, AT, arrow, row, state
from tests.component.test_monitor_api import events
from tests.support import System, running

NAME = "Ottilie Habermas"
MAIL = "ottilie@example.org"
INCOME, INCOME_TEXT = 9_876_543_210.5, "9876543210.5"
"""No id, time or duration looks like it."""

SIGNATURE = registry.Signature(
    inputs=(
        registry.Field(name="hour", type="long"),
        registry.Field(name="name", type="string", personal=True),
        registry.Field(name="income", type="double", required=False, personal=True),
    ),
    outputs=(registry.Field(name="probability", type="double"),),
)
REFERENCE: dict[str, tuple[Any, ...]] = {"hour": tuple(range(24)) * 40}


@asynccontextmanager
async def monitoring(**changed: Any) -> AsyncIterator[System]:
    async with running(DEFINITION, **changed) as system:
        version = registry.ModelVersionRegistered(
            model="loans", version=1, artifact=ARTIFACT, signature=SIGNATURE, reference=REFERENCE
        )
        runtime = deployer.Runtime(kind="external")
        deployed = deployer.Deployed(
            deployment="late",
            model="loans",
            version=1,
            environment="production",
            runtime=runtime,
            artifact=ARTIFACT,
            traffic=deployer.Traffic(champion=1),
        )
        await state(system, "model/loans", [registry.ModelRegistered(model="loans", owner="ana"), version])
        await state(system, "deployment/late", [deployed])
        await system.settle()
        yield system


@pytest.fixture
def logs(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """What a process would log, as it would."""
    written = io.StringIO()
    with monkeypatch.context() as patched:
        patched.setattr(sys, "stderr", written)
        configure_logs(Settings(log_level="DEBUG"))
    yield written
    structlog.reset_defaults()
    logging.basicConfig(force=True)


@pytest.fixture
async def system() -> AsyncIterator[System]:
    async with monitoring() as system:
        yield system


def person(entity: str | None = MAIL, **changed: Any) -> dict[str, Any]:
    features = {"hour": 5, "name": NAME, "income": INCOME}
    return row(features=features, **({"entity": entity} if entity is not None else {})) | changed


async def post(system: System, *rows: dict[str, Any], **headers: str) -> Any:
    body = {"deployment": "late", "version": 1, "predictions": list(rows)}
    return await system.client.post("/v1/predictions", json=body, headers=headers)


async def told(system: System, name: str, roles: str = "auditor") -> dict[str, Any]:
    answer = await system.client.get(f"/v1/predictions/{name}", headers={"X-Roles": roles})
    assert answer.status_code == 200, answer.text
    return answer.json()


async def forget(system: System, subject: str = MAIL, **headers: str) -> Any:
    path = f"/v1/subjects/{subject}:forget"
    return await system.client.post(path, json={"reason": "withdrew consent"}, headers=headers)


def everything(system: System) -> str:
    """All that memory adapters hold: the log, the views, streams, idempotency records, dead letters."""
    found = [repr(system.log.__dict__)]
    for store in system.stores.values():
        found.append(repr(store.__dict__))
        found.append(repr({name: repr(vars(one)) for name, one in vars(store).items() if hasattr(one, "__dict__")}))
    return "\n".join(found)


async def rebuilt(system: System) -> None:
    """The views emptied, and every consumer begun anew as after a restart."""
    await rebuild(DEFINITION, system.services["monitor"])
    part = system.parts["monitor"]
    part.consumers[:] = DEFINITION.consumers(system.services["monitor"])


async def test_single_rows_batches_and_arrow_reach_the_log_encrypted_and_are_read_by_who_may(system: System) -> None:
    one = (await post(system, person())).json()["ids"]
    two = (await post(system, person(), person("someone else"))).json()["ids"]
    table = pa.record_batch(
        {
            "entity": [MAIL],
            "feature.hour": [5],
            "feature.name": [NAME],
            "feature.income": [1.0],
            "output.probability": [0.5],
        }
    )
    three = await system.client.post("/v1/predictions", **arrow(table))
    assert three.status_code == 202, three.text
    await system.settle()
    for event in await events(system, TOPIC_PREDICTIONS):
        assert event.table is not None
        names = batches.read(event.table).schema.names
        assert "feature.hour" in names
        assert not {"feature.name", "feature.income"} & set(names)
        for plain in (NAME, MAIL, INCOME_TEXT):
            assert plain.encode() not in event.table
    tokens = set()
    for name in (one[0], two[0], f"{three.json()['batch']}-0"):
        found = await told(system, name)
        assert (found["entity"], found["features"]["name"], found["personal"]["state"]) == (MAIL, NAME, "open")
        tokens.add(found["personal"]["subject"])
    assert len(tokens) == 1
    found = await told(system, one[0], "data_engineer")
    assert found["features"] == {"hour": 5, "name": None, "income": None}
    assert (found["personal"]["state"], found["entity"]) == ("withheld", found["personal"]["subject"])
    assert found["personal"]["features"] == ["income", "name"]


async def test_forgetting_erases_one_person_is_on_record_without_a_name_and_leaves_all_else(system: System) -> None:
    ids = (await post(system, person(), person("karl"), person())).json()["ids"]
    await system.settle()
    before = (await events(system, TOPIC_PREDICTIONS))[0].table
    answer = await forget(system)
    assert answer.status_code == 201, answer.text
    receipt = answer.json()
    await system.settle()
    assert (await events(system, TOPIC_PREDICTIONS))[0].table == before
    (event,) = [one for one in await events(system, "muniment.monitor") if isinstance(one.data, SubjectForgotten)]
    assert (event.id, event.actor, event.data.reason) == (receipt["event_id"], "ada", "withdrew consent")  # type: ignore[attr-defined]
    assert event.data.subject == receipt["subject"]  # type: ignore[attr-defined]
    for name in (ids[0], ids[2]):
        found = await told(system, name)
        assert found["features"] == {"hour": 5, "name": None, "income": None}
        assert found["personal"]["state"] == "erased"
        assert "was erased" in found["personal"]["detail"]
        assert found["output"] == {"probability": 0.25}
    assert (await told(system, ids[1]))["features"]["name"] == NAME


async def test_forgetting_again_and_forgetting_a_stranger_state_nothing(system: System) -> None:
    await post(system, person())
    first = await forget(system, **{"Idempotency-Key": "once"})
    kept = await forget(system, **{"Idempotency-Key": "once"})
    assert (kept.status_code, kept.json()) == (201, first.json())
    for subject in (MAIL, "never seen"):
        again = await forget(system, subject)
        assert (again.status_code, again.json()["events"], again.json()["subject"]) == (200, [], None)
    await system.settle()
    found = [one for one in await events(system, "muniment.monitor") if isinstance(one.data, SubjectForgotten)]
    assert len(found) == 1


async def test_a_person_who_comes_again_is_readable_and_what_was_forgotten_stays_so(system: System) -> None:
    old = (await post(system, person())).json()["ids"][0]
    await forget(system)
    new = (await post(system, person())).json()["ids"][0]
    await system.settle()  # the worker reads the word of forgetting after the new key was made
    await rebuilt(system)
    await system.settle()  # and once more from zero
    assert (await told(system, old))["personal"]["state"] == "erased"
    found = await told(system, new)
    assert (found["personal"]["state"], found["entity"]) == ("open", MAIL)
    assert found["personal"]["subject"] != (await told(system, old))["personal"]["subject"]
    assert (await forget(system)).status_code == 201
    assert (await told(system, new))["personal"]["state"] == "erased"


async def test_a_process_that_dies_after_the_record_has_its_key_destroyed_by_the_worker(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = (await post(system, person())).json()["ids"][0]
    keyring = system.services["monitor"].keyring

    async def dies(token: str) -> bool:
        raise KeyringUnavailable("gone")

    with monkeypatch.context() as patched:
        patched.setattr(keyring, "destroy", dies)
        assert (await forget(system)).status_code == 503
    assert await keyring.token(MAIL) is not None
    await system.settle()
    assert await keyring.token(MAIL) is None
    assert (await told(system, name))["personal"]["state"] == "erased"


async def test_measured_windows_and_a_rebuild_do_not_depend_on_any_key(system: System) -> None:
    await post(system, *(person(f"person {place}", at=AT.isoformat()) for place in range(50)))
    await system.settle()
    path = "/v1/deployments/late/windows"
    before = (await system.client.get(path)).json()
    assert before["items"][0]["predictions"] == 50
    assert [one["feature"] for one in before["items"][0]["drift"]] == ["hour"]
    assert not [one for one in before["items"][0]["integrity"] if one["check"] == "schema"]
    for place in range(50):
        assert (await forget(system, f"person {place}")).status_code == 201
    await rebuilt(system)
    await system.settle()
    assert (await system.client.get(path)).json() == before


async def test_nothing_personal_and_no_key_is_kept_anywhere(
    system: System, logs: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[str] = []
    send = system.live.send

    async def listening(channel: str, *messages: str) -> None:
        heard.extend(messages)
        await send(channel, *messages)

    system.live.send = listening  # type: ignore[method-assign]
    answer = await post(system, person(), person(), **{"Idempotency-Key": "k1"})
    assert answer.status_code == 202
    table = pa.record_batch(
        {"entity": [MAIL], "feature.hour": [5], "feature.name": [NAME], "output.probability": [0.5]}
    )
    keywords = arrow(table)
    keywords["headers"] = {**keywords["headers"], "Idempotency-Key": "k2"}
    assert (await system.client.post("/v1/predictions", **keywords)).status_code == 202
    key = (await system.services["monitor"].keyring.keys([MAIL]))[MAIL]
    await system.settle()
    await told(system, answer.json()["ids"][0])
    explained = await system.client.get(f"/v1/predictions/{answer.json()['ids'][0]}/explanation")
    assert explained.status_code == 409
    assert (await forget(system, **{"Idempotency-Key": "k3"})).status_code == 201
    await system.settle()
    files = _files(Path(system.settings.data_dir))
    texts = [everything(system), *heard, logs.getvalue(), caplog.text, explained.text]
    texts += [one.decode("latin-1") for one in files]
    assert any("probability" in text for text in texts)  # it would be seen
    for secret in (NAME, MAIL, INCOME_TEXT, "ottilie", key.key.hex(), repr(key.key)[2:-1], str(key.key)):
        assert not [text for text in texts if secret in text], secret


async def test_a_failure_logs_neither_values_nor_keys_nor_the_path(
    system: System, monkeypatch: pytest.MonkeyPatch, logs: io.StringIO
) -> None:

    async def fails(*_: Any, **__: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(system.log, "publish", fails)
    assert (await post(system, person())).status_code == 500
    monkeypatch.setattr(system.services["monitor"].keyring, "token", fails)
    answer = await forget(system)
    assert answer.status_code == 500
    text = logs.getvalue()
    assert "broken" in text
    for secret in (NAME, MAIL, INCOME_TEXT):
        assert secret not in text


async def test_dead_letters_of_personal_predictions_hold_what_the_log_holds(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    consumer = system.consumer("monitor.predictions")

    async def refuses(unit: UnitOfWork, received: Any) -> None:
        raise ValueError("cannot be applied")

    monkeypatch.setattr(consumer, "handle", refuses)
    await post(system, person())
    await system.settle()
    letters = await (system.stores["monitor"]).waiting_dead_letters()
    assert letters["monitor.predictions"] == 1
    assert NAME not in everything(system)


async def test_an_unusable_request_is_refused_and_nothing_is_written(system: System) -> None:
    for rows in ([person(None)], [person(), person(None)]):
        answer = await post(system, *rows)
        assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) == (422, "no-subject"), answer.text
    good, bad = await gathered(system, person(), person(None))
    assert (good.status_code, bad.status_code) == (202, 422)
    assert len(await events(system, TOPIC_PREDICTIONS)) == 1
    named = await system.client.post("/v1/subjects:forget", json={"subject": MAIL, "reason": f"{MAIL.upper()} asked"})
    assert (named.status_code, named.json()["type"].rsplit(":", 1)[-1]) == (422, "reason-names-subject")
    for roles in ("sme", "data_scientist", "service", "devops"):
        assert (await forget(system, **{"X-Roles": roles})).status_code == 403
    assert await system.services["monitor"].keyring.token(MAIL) is not None
    ok = await system.client.post("/v1/subjects:forget", json={"subject": MAIL, "reason": "asked"})
    assert ok.status_code == 201


async def gathered(system: System, *rows: dict[str, Any]) -> list[Any]:
    return list(await asyncio.gather(*(post(system, one) for one in rows)))


async def test_without_a_keyring_personal_predictions_are_refused_and_others_are_not(
    system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring = system.services["monitor"].keyring
    name = (await post(system, person())).json()["ids"][0]
    await system.settle()

    async def away(*_: Any) -> Any:
        raise KeyringUnavailable("connection refused")

    for method in ("keys", "key", "token"):
        monkeypatch.setattr(keyring, method, away)
    answer = await post(system, person())
    assert (answer.status_code, answer.json()["type"].rsplit(":", 1)[-1]) == (503, "no-keyring")
    assert (await forget(system)).status_code == 503
    found = await told(system, name)
    assert (found["personal"]["state"], found["features"]["name"]) == ("unreadable", None)
    assert len(await events(system, TOPIC_PREDICTIONS)) == 1


async def test_the_archive_is_asked_for_a_person_by_name_by_who_may(system: System) -> None:
    await post(system, person(), person("karl"))
    await system.settle()
    path = "/v1/deployments/late/predictions"
    found = (await system.client.get(path, params={"entity": MAIL}, headers={"X-Roles": "auditor"})).json()["items"]
    assert len(found) == 1
    assert found[0]["entity"].startswith("subject:")
    assert found[0]["features"] == {"hour": 5}
    other = (await system.client.get(path, params={"entity": MAIL}, headers={"X-Roles": "devops"})).json()["items"]
    assert other == []
    for kind in ("ndjson", "parquet"):
        answer = await system.client.get(path, params={"format": kind})
        assert answer.status_code == 200
        assert NAME.encode() not in answer.content


async def test_both_services_share_the_keys_of_one_keyring() -> None:
    async with running(DEFINITION, DEPLOYER) as system:
        keyrings = {id(service.keyring) for service in system.services.values()}
        assert len(keyrings) == 1


def _files(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
