"""Act four: the audit shows one wrong decision as it was known that day, what ran before and after, reports on the
model, and shows that the record is whole."""

from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson

from muniment.cli.inspect import run_verification
from muniment.demo.story import cast, objection, waiting
from muniment.demo.story.scene import Scene, text


def audit(scene: Scene) -> None:
    """The auditor's four questions."""
    trace(scene)
    estate(scene)
    report(scene)
    verify(scene)


def trace(scene: Scene) -> None:
    """The lineage of the first flagged decision: as known that day, and as known now."""
    first = scene.flags[0]
    auditor = scene.acting_as(cast.AUDITOR)
    path = f"/v1/lineage/prediction/{scene.played.ids[first.row]}"
    assert scene.known_then is not None
    then = nodes(auditor.get(path, known_at=text(scene.known_then), depth=6))
    now = nodes(auditor.get(path, depth=6, after=scene.last_write))
    model = f"version/{cast.MODEL}@{int(scene.played.versions[first.row])}"
    shown = f"{path}?known_at={text(scene.known_then)}"
    for what, node in (
        ("the model version", model),
        ("the training data", f"dataset/{cast.TRAINING}@1"),
        ("the goal", f"goal/{cast.GOAL}"),
    ):
        scene.check(f"Lineage that day names {what}", node in then, True, shown)
    scene.check("Lineage that day knows of the flag", f"flag/{first.flag}" in then, False, shown)
    scene.check("Lineage now knows of the flag", f"flag/{first.flag}" in now, True, path)
    flight = scene.flights.iloc[first.row]
    scene.say(
        f"{cast.AUDITOR} traces {flight['entity']} of {flight['departs']:%d %B}: {len(then)} things were known "
        f"that day, {len(now)} are now"
    )
    scene.show("Lineage: things known that day", len(then), shown)
    scene.show("Lineage: things known now", len(now), path)


def estate(scene: Scene) -> None:
    """What ran before and after the promotion."""
    for name, moment, version in (
        ("Champion before the promotion", scene.schedule.promote - timedelta(seconds=1), 1),
        ("Champion after the promotion", scene.schedule.promote + timedelta(seconds=1), 2),
    ):
        path = f"/v1/estate?at={text(moment)}"
        scene.check(name, champion(scene.acting_as(cast.AUDITOR), moment), version, path)


def champion(client: Any, moment: datetime) -> int | None:
    """The version that was champion of the story's deployment at a moment."""
    found = client.get("/v1/estate", at=text(moment))
    for item in found["items"]:
        if item["deployment"] == cast.DEPLOYMENT:
            return item["version"]
    return None


def report(scene: Scene) -> None:
    """Issue the report on the model: it counts what was played, and its files have the digests on record."""
    auditor, path = scene.acting_as(cast.AUDITOR), f"/v1/reports/{cast.MODEL}"
    waiting.until_reported(scene, lambda: _predictions(auditor.get(path)))
    answer = auditor.post(path, {"reason": "end of the year"})
    files: dict[str, bytes] = {}
    for file in answer["files"]:
        name, after = file["format"], {"after": answer["event_id"]}
        files[name] = auditor.request("GET", f"{answer['url']}/{name}", query=after).content
    kept = all(sha256(files[file["format"]]).hexdigest() == file["sha256"] for file in answer["files"])
    scene.check("Issued report: its files have the digests on record", kept, True, f"{answer['url']}/html")
    told = _predictions(orjson.loads(files["json"]))
    scene.check("Issued report: predictions measured", told, len(scene.flights), f"{answer['url']}/pdf")
    named = objection.told_in(files["json"])
    scene.check(
        "Issued report: names the flagged slice, its expert and the answer", named, True, f"{answer['url']}/html"
    )
    scene.show("Issued report: things that are not on record", answer["gaps"], f"{answer['url']}/pdf")
    scene.say(f"{cast.AUDITOR} issues report {answer['number']} on {cast.MODEL}: {answer['gaps']} gaps")


def _predictions(document: dict[str, Any]) -> int:
    """Predictions that a report's summary counts."""
    blocks = document["parts"][0]["sections"][0]["blocks"]
    told = {row["cells"][0]: row["cells"][1] for block in blocks for row in block.get("rows", [])}
    counted = told["Predictions measured"].replace(",", "")
    return int(counted) if counted.isdigit() else 0


def verify(scene: Scene) -> None:
    """Replay the whole log beside the live views."""
    result = run_verification(scene.acting_as(cast.AUDITOR))
    path = f"/v1/verifications/{result['id']}"
    scene.check("Replay from zero equals the live record", result["outcome"], "equal", path)
    scene.show("Events replayed", result["result"]["events"], path)
    scene.say(f"A replay of {result['result']['events']:,} events equals the live record")


def nodes(answer: dict[str, Any]) -> set[str]:
    """The names of the nodes of a lineage."""
    return {f"{node['kind']}/{node['id']}" for node in answer["nodes"]}
