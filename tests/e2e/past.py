"""Answers of the live system, kept while the story is told, to be asked for again afterwards as of their moments."""

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from muniment.client import Client
from muniment.demo.story import cast
from muniment.demo.story.scene import Scene

QUIET = timedelta(seconds=1.5)
PATIENCE = 120.0
QUESTIONS = (
    "/v1/estate",
    f"/v1/timeline/deployment/{cast.DEPLOYMENT}",
    f"/v1/timeline/model/{cast.MODEL}",
    f"/v1/lineage/model/{cast.MODEL}",
    f"/v1/lineage/deployment/{cast.DEPLOYMENT}",
    f"/v1/lineage/dataset/{cast.TRAINING}@1",
    f"/v1/touched/dataset/{cast.TRAINING}@1",
    f"/v1/touched/deployment/{cast.DEPLOYMENT}",
    f"/v1/lineage/goal/{cast.GOAL}",
    f"/v1/lineage/version/{cast.MODEL}@1",
    f"/v1/timeline/goal/{cast.GOAL}",
)
DOCUMENTS = (
    "/v1/reports",
    f"/v1/reports/{cast.MODEL}",
    f"/v1/export/prov/{cast.MODEL}",
    f"/v1/export/cyclonedx/{cast.MODEL}",
)
"""What does not tell its moment to the microsecond: asked for as of the moment itself."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the system answered to a question at a moment (of the record and of the world). `times`: what it was asked
    as of, where it was not just asked about now."""

    path: str
    moment: str
    answer: Any
    times: dict[str, str] = field(default_factory=dict[str, str])


@dataclass(slots=True)
class Recorder:
    """Asks the same questions again and again; `flights`: predictions that it asks about, too."""

    client: Client
    kept: list[Kept] = field(default_factory=list[Kept])
    flights: list[str] = field(default_factory=list[str])
    times: int = 0

    def ask(self, scene: Scene) -> None:
        """Keep what the system answers now to every question, and about the story's own past."""
        self._until_quiet()
        self.times += 1
        first = next((one for one in scene.played.ids if one is not None), None)
        if first is not None and not self.flights:
            self.flights.append(str(first))
        self.flights += [str(scene.played.ids[flag.row]) for flag in scene.flags[:1] if len(self.flights) == 1]
        paths = [*QUESTIONS, *(f"/v1/dossier/{one}" for one in self.flights)]
        paths += [f"/v1/lineage/prediction/{one}" for one in self.flights]
        deadline = time.monotonic() + PATIENCE
        while True:  # again, where something was recorded meanwhile: on its way it is known to nobody
            before = datetime.now(UTC)
            answers = [Kept(path, datetime.now(UTC).isoformat(), self.client.get(path)) for path in paths]
            answers += [self._document(path, datetime.now(UTC).isoformat()) for path in DOCUMENTS]
            self._until_quiet()
            if not self.client.get("/v1/events", recorded_from=before.isoformat(), limit=1)["items"]:
                break
            assert time.monotonic() < deadline, "the record never stays quiet while it is asked"
        self.kept += answers

    def different(self) -> list[tuple[str, str, dict[str, tuple[Any, Any]]]]:
        """(path, moment, member → then and now) of every answer that is now another one, asked as of its moment."""
        found: list[tuple[str, str, dict[str, tuple[Any, Any]]]] = []
        for one in self.kept:
            then, again = _told(one.answer), self._again(one)
            names = [name for name in then | again if then.get(name) != again.get(name)]
            if names:
                found.append((one.path, one.moment, {name: (then.get(name), again.get(name)) for name in names}))
        return found

    def _document(self, path: str, moment: str) -> Kept:
        times = {"at": moment, "known_at": moment}
        return Kept(path, moment, self.client.get(path, **times), times)

    def _again(self, one: Kept) -> Any:
        times = one.times or {name: one.answer[name] for name in ("at", "known_at") if name in one.answer}
        return _told(self.client.get(one.path, **(times or {"known_at": one.moment})))

    def _until_quiet(self) -> None:
        """Until nothing has been recorded for a while: what is on its way is known to nobody yet."""
        deadline = time.monotonic() + PATIENCE
        while self.client.get("/v1/events", recorded_from=(datetime.now(UTC) - QUIET).isoformat(), limit=1)["items"]:
            assert time.monotonic() < deadline, "the record never gets quiet"
            time.sleep(0.2)


ABOUT_NOW = ("next", "behind_seconds", "waiting")
"""Members that tell about the moment of asking: a place in a list that has grown, how far the ledger is behind now."""


def _told(answer: Any) -> Any:
    """What an answer says about the moment that it was asked about."""
    said = {name: value for name, value in answer.items() if name not in ABOUT_NOW}
    return said | ({"ledger": _told(said["ledger"])} if "ledger" in said else {})
