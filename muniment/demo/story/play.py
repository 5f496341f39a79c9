"""Act two: day after day, flights are scored an hour before departure, and the truth is told when they land."""

from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa

from muniment.demo.data import CATEGORIES, FEATURES
from muniment.demo.frames import Frame
from muniment.demo.story import cast, turns
from muniment.demo.story.scene import Scene, text, texts, utc

DAY = timedelta(days=1)
_MAX_ROWS = 10_000


def play(scene: Scene) -> None:
    """Every day of the schedule with its turning points, and then until the last flight has landed."""
    flights, schedule = scene.flights, scene.schedule
    scored, landed = utc(flights["at"]), utc(flights["landed"])
    landing_order = np.argsort(landed, kind="stable")  # NaT last
    landed_last = np.nanmax(landed)
    day = schedule.start
    while day < schedule.end or landed_last >= _np(day):
        turns.morning(scene, day)
        rows = np.arange(*np.searchsorted(scored, [_np(day), _np(day + DAY)]))
        predict(scene, rows)
        turns.noon(scene, day)
        bounds = np.searchsorted(landed[landing_order], [_np(day), _np(day + DAY)])
        tell_outcomes(scene, landing_order[slice(*bounds)])
        scene.step(len(rows), f"{day:%d %B}")
        day += DAY


def predict(scene: Scene, rows: np.ndarray) -> None:
    """Score these flights; what comes back is kept for the story's own checks."""
    for chunk in _chunks(rows):
        flights = scene.flights.iloc[chunk]
        answer = scene.client.infer(
            cast.DEPLOYMENT,
            {name: _column(flights, name) for name in FEATURES},
            at=texts(flights["at"]),
            entity=flights["entity"].tolist(),
            segment=flights["origin"].tolist(),
        )
        scene.played.ids[chunk] = answer.ids
        scene.played.versions[chunk] = answer.versions
        scene.played.scores[chunk] = answer.outputs[cast.OUTPUT]


def tell_outcomes(scene: Scene, rows: np.ndarray) -> None:
    """Tell which of these flights were late, in the order in which they landed."""
    for chunk in _chunks(rows):
        flights = scene.flights.iloc[chunk]
        table = pa.table(
            {
                "prediction_id": pa.array(scene.played.ids[chunk], pa.string()),
                "at": pa.array(utc(flights["landed"]), pa.timestamp("us")).cast(pa.timestamp("us", "UTC")),
                "value": pa.array(flights["late"].to_numpy(), pa.bool_()).cast(pa.float64()),
            }
        )
        scene.told += scene.client.outcomes(table)["accepted"]


def _column(flights: Frame, name: str) -> object:
    return flights[name].tolist() if name in CATEGORIES else flights[name].to_numpy(np.float64)


def _chunks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[start : start + _MAX_ROWS] for start in range(0, len(rows), _MAX_ROWS)]


def _np(moment: datetime) -> np.datetime64:
    return np.datetime64(text(moment).removesuffix("Z"), "us")
