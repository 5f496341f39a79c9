"""The story of the demo on real flights, told to the embedded system and to ten processes on Kafka, from one source.

Every figure that the services tell is recomputed from the raw data by the story itself. The embedded system is asked
about its past, too; of the ten processes each one dies once.
"""

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

import pandas as pd
import pytest
from rich.console import Console

from devstack.kafka import KafkaBroker
from muniment.client import Client
from muniment.demo import data
from muniment.demo.run import progress_display, scene_of
from muniment.demo.story import tell
from muniment.demo.story.cast import SHORT
from muniment.demo.story.scene import Scene
from muniment.demo.train import Trained, train
from tests.e2e.apart import apart
from tests.e2e.embedded import Embedded
from tests.e2e.killing import killing
from tests.e2e.past import Recorder

Urls = str | Mapping[str, str]
Prepare = Callable[[Scene], None]
ASKED_ON = ("21", "30", "11")
"""Days of the months after which the live system is asked: deployed, on trial, promoted."""


class Telling(Protocol):
    """Tells the story to a system, prepared by somebody, and is asked for the scene while the system still runs."""

    def __call__(self, client: Client, prepare: Prepare) -> Scene: ...


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return data.flights()


@pytest.fixture(scope="module")
def trained(flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(flights, tmp_path_factory.mktemp("models"))


@pytest.fixture
def told(flights: pd.DataFrame, trained: Trained) -> Telling:
    """Tells the story of three weeks in April."""

    def tell_to(client: Client, prepare: Prepare) -> Scene:
        with progress_display(Console(quiet=True)) as progress:
            scene = scene_of(client, flights, trained, SHORT, progress)
            prepare(scene)
            tell(scene)
            return scene

    return tell_to


@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_every_figure_follows_from_the_raw_data_and_every_answer_about_the_past_is_what_was_answered_then(
    tmp_path: Path, told: Telling
) -> None:
    with Embedded(tmp_path / "data") as embedded:
        embedded.start()
        with _client(embedded.url) as client:
            recorder = Recorder(client)
            scene = told(client, lambda scene: _after_each_day(scene, lambda day: _ask(recorder, scene, day)))
            recorder.ask(scene)
            assert recorder.times > len(ASKED_ON)
            assert recorder.different() == []
    _holds(scene)
    estates = {str(one.answer["items"]) for one in recorder.kept if one.path == "/v1/estate"}
    assert len(estates) >= 3  # deployed, on trial, promoted


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_each_of_ten_processes_is_killed_and_no_figure_changes(
    own_broker: KafkaBroker, tmp_path: Path, told: Telling
) -> None:
    with apart(tmp_path, own_broker.address) as processes, _client(processes.urls) as client:
        order = random.Random(2013).sample(sorted(processes.processes), k=10)
        with killing(processes, order) as killer:
            client.http.event_hooks["request"].append(killer.requested)
            scene = told(client, lambda scene: _after_each_day(scene, lambda day: killer.next()))
            killer.recovered()
        _holds(scene)
        assert killer.killed == order


def _client(urls: Urls) -> Client:
    return Client(urls, patience=120.0)


def _after_each_day(scene: Scene, act: Callable[[str], None]) -> None:
    step = scene.step

    def step_and_act(rows: int, day: str) -> None:
        step(rows, day)
        act(day)

    scene.step = step_and_act


def _ask(recorder: Recorder, scene: Scene, day: str) -> None:
    if day[:2] in ASKED_ON:
        recorder.ask(scene)


def _holds(scene: Scene) -> None:
    assert [line for line in scene.lines if not line.holds] == []
    names = {line.name for line in scene.lines if line.checked}
    assert {"Flights", "Winner of the trial by cost", "Replay from zero equals the live record"} <= names
    assert len(scene.flights) > 15_000
    assert set(scene.played.versions) == {1, 2}
    assert len(scene.flags) == 4
