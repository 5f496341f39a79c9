"""What the audit says about a past instant is what the live system said then."""

from pathlib import Path

import pytest
from rich.console import Console

from muniment.client import Client
from muniment.demo import data
from muniment.demo.run import progress_display, scene_of
from muniment.demo.story import opening, play
from muniment.demo.story.cast import SHORT
from muniment.demo.train import train
from tests.e2e.embedded import Embedded
from tests.e2e.past import Recorder

ASKED_ON = ("21", "25", "30", "07", "11")
"""Days of the months after which the live system is asked: deployed, on trial, promoted."""


@pytest.mark.slow
def test_every_answer_about_a_past_instant_is_what_the_live_system_answered_then(tmp_path: Path) -> None:
    flights = data.flights()
    trained = train(flights, tmp_path)
    with Embedded(tmp_path / "data") as embedded, progress_display(Console(quiet=True)) as progress:
        embedded.start()
        with Client(embedded.url, patience=120.0) as client:
            scene, recorder = scene_of(client, flights, trained, SHORT, progress), Recorder(client)
            step = scene.step

            def after_the_day(rows: int, day: str) -> None:
                step(rows, day)
                if day[:2] in ASKED_ON:
                    recorder.ask(scene)

            scene.step = after_the_day
            for act in (opening.ask, opening.bring_data, opening.register_model, opening.deploy, play.play):
                act(scene)
            recorder.ask(scene)
            assert recorder.times > len(ASKED_ON)
            assert recorder.different() == []
            estates = {str(one.answer["items"]) for one in recorder.kept if one.path == "/v1/estate"}
            assert len(estates) >= 3  # deployed, on trial, promoted
