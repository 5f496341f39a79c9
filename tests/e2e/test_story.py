"""The story of the demo on real flights, told to the embedded system and to ten processes on Kafka, from one source.

Every figure that the services tell is recomputed from the raw data by the story itself.
"""

import random
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

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
from tests.e2e.apart import Apart, Name, apart
from tests.e2e.embedded import Embedded

Told = Callable[[str | Mapping[str, str]], Scene]


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return data.flights()


@pytest.fixture(scope="module")
def trained(flights: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return train(flights, tmp_path_factory.mktemp("models"))


@pytest.fixture
def told(flights: pd.DataFrame, trained: Trained) -> Told:
    """Tells the story of three weeks in April to a system."""

    def tell_to(urls: str | Mapping[str, str]) -> Scene:
        with Client(urls, patience=120.0) as client, progress_display(Console(quiet=True)) as progress:
            scene = scene_of(client, flights, trained, SHORT, progress)
            tell(scene)
            return scene

    return tell_to


@pytest.fixture(params=["embedded", pytest.param("kafka", marks=[pytest.mark.kafka, pytest.mark.slow])])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str | Mapping[str, str]]:
    """The addresses of a running system."""
    if request.param == "embedded":
        with Embedded(tmp_path / "data") as embedded:
            embedded.start()
            yield embedded.url
    else:
        broker: KafkaBroker = request.getfixturevalue("own_broker")
        with apart(tmp_path, broker.address) as processes:
            yield processes.urls


def test_every_figure_of_the_story_follows_from_the_raw_data(system: str | Mapping[str, str], told: Told) -> None:
    scene = told(system)
    assert [line for line in scene.lines if not line.holds] == []
    names = {line.name for line in scene.lines if line.checked}
    assert {"Flights", "Winner of the trial by cost", "Replay from zero equals the live record"} <= names
    assert len(scene.flights) > 15_000
    assert set(scene.played.versions) == {1, 2}
    assert len(scene.flags) == 4


@pytest.mark.kafka
@pytest.mark.slow
def test_processes_that_are_killed_change_no_figure(own_broker: KafkaBroker, tmp_path: Path, told: Told) -> None:
    with apart(tmp_path, own_broker.address) as processes, _chaos(processes) as killed:
        scene = told(processes.urls)
    assert [line for line in scene.lines if not line.holds] == []
    assert len(killed) >= 2


@contextmanager
def _chaos(processes: Apart) -> Iterator[list[Name]]:
    """Kills one process after another at random while the block runs, and starts each again; yields the killed."""
    killed: list[Name] = []
    failed: list[BaseException] = []
    over, chance = threading.Event(), random.Random(2013)

    def run() -> None:
        names = sorted(processes.processes)
        try:
            while not over.wait(chance.uniform(1.0, 3.0)):
                killed.append(chance.choice(names))
                processes.kill(killed[-1])
                processes.until_ready(killed[-1])
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()
    assert failed == []
