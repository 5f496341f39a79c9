"""The story of the demo on real flights, told to the embedded system and to ten processes on Kafka, from one source.

Every figure that the services tell is recomputed from the raw data by the story itself.
"""

import random
from collections.abc import Iterator, Mapping
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
from tests.e2e.killing import Killing, killing

Urls = str | Mapping[str, str]


class Told(Protocol):
    """Tells the story; with a killer, one process dies after each day of it."""

    def __call__(self, urls: Urls, killer: Killing | None = None) -> Scene: ...


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return data.flights()


@pytest.fixture(scope="module")
def trained(flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(flights, tmp_path_factory.mktemp("models"))


@pytest.fixture
def told(flights: pd.DataFrame, trained: Trained) -> Told:
    """Tells the story of three weeks in April to a system."""

    def tell_to(urls: Urls, killer: Killing | None = None) -> Scene:
        with Client(urls, patience=120.0) as client, progress_display(Console(quiet=True)) as progress:
            scene = scene_of(client, flights, trained, SHORT, progress)
            if killer is not None:
                _die_daily(client, scene, killer)
            tell(scene)
            return scene

    return tell_to


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.slow])])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Urls]:
    """The addresses of a running system."""
    if request.param == "embedded":
        with Embedded(tmp_path / "data") as embedded:
            embedded.start()
            yield embedded.url
    else:
        broker: KafkaBroker = request.getfixturevalue("own_broker")
        with apart(tmp_path, broker.address) as processes:
            yield processes.urls


def test_every_figure_of_the_story_follows_from_the_raw_data(system: Urls, told: Told) -> None:
    scene = told(system)
    assert [line for line in scene.lines if not line.holds] == []
    names = {line.name for line in scene.lines if line.checked}
    assert {"Flights", "Winner of the trial by cost", "Replay from zero equals the live record"} <= names
    assert len(scene.flights) > 15_000
    assert set(scene.played.versions) == {1, 2}
    assert len(scene.flags) == 4


@pytest.mark.kafka
@pytest.mark.slow
@pytest.mark.timeout(1_200)
def test_each_of_ten_processes_is_killed_and_no_figure_changes(
    own_broker: KafkaBroker, tmp_path: Path, told: Told
) -> None:
    with apart(tmp_path, own_broker.address) as processes:
        order = random.Random(2013).sample(sorted(processes.processes), k=10)
        with killing(processes, order) as killer:
            scene = told(processes.urls, killer)
            killer.recovered()
        assert [line for line in scene.lines if not line.holds] == []
        assert killer.killed == order


def _die_daily(client: Client, scene: Scene, killer: Killing) -> None:
    client.http.event_hooks["request"].append(killer.requested)
    step = scene.step

    def step_and_die(rows: int, day: str) -> None:
        step(rows, day)
        killer.next()

    scene.step = step_and_die
