"""The flights as the story tells them, held against what the raw data recorded."""

import pandas as pd
import pytest

from muniment.demo import data


@pytest.fixture(scope="module")
def flights() -> pd.DataFrame:
    return data.flights()


def test_every_flight_is_there_and_those_without_arrival_have_no_outcome(flights: pd.DataFrame) -> None:
    assert len(flights) == 336_776
    assert int((~flights["arrived"]).sum()) == 9_430
    assert flights.loc[~flights["arrived"], "landed"].isna().all()
    assert not flights.loc[~flights["arrived"], "late"].any()


def test_flights_are_scored_in_order_and_an_hour_before_departure(flights: pd.DataFrame) -> None:
    assert flights["at"].is_monotonic_increasing
    assert ((flights["departs"] - flights["at"]) == data.LEAD).all()


def test_every_landing_is_at_the_local_time_that_was_recorded(flights: pd.DataFrame) -> None:
    """All but one: it landed in the night in which the clocks went forward, and was recorded in the old time."""
    arrived = flights[flights["arrived"]]
    recorded = arrived["recorded_arrival"].replace(2400, 0)
    different = arrived[data.local_arrival(arrived) != recorded]
    assert len(different) == 1
    assert different["landed"].dt.strftime("%Y-%m-%d").item() == "2013-03-10"


def test_no_flight_lands_before_it_has_flown(flights: pd.DataFrame) -> None:
    arrived = flights[flights["arrived"]]
    ground = (arrived["landed"] - arrived["left"]).dt.total_seconds() / 60 - arrived["air_time"]
    assert ground.min() > 0
    assert ground.max() < 240


def test_the_share_of_late_flights_runs_through_the_seasons(flights: pd.DataFrame) -> None:
    arrived = flights[flights["arrived"] & (flights["month"] > 3)]
    share = arrived.groupby("month")["late"].mean().mul(100).round().astype(int).tolist()
    assert share == [19, 15, 23, 23, 16, 9, 9, 10, 21]


def test_no_feature_is_missing(flights: pd.DataFrame) -> None:
    assert not flights[list(data.FEATURES)].isna().any().any()


def test_weather_is_what_was_known_when_the_flight_was_scored(flights: pd.DataFrame) -> None:
    weather = pd.read_csv(data.folder() / "weather.csv")
    weather["hour"] = pd.to_datetime(weather["time_hour"], utc=True)
    flight = flights[(flights["origin"] == "JFK") & (flights["departs"] == pd.Timestamp("2013-07-10T20:30Z"))].iloc[0]
    ended = weather[(weather["origin"] == "JFK") & (weather["hour"] <= flight["at"] - pd.Timedelta(hours=1))]
    latest = ended.sort_values("hour").iloc[-1]
    assert latest["hour"] == pd.Timestamp("2013-07-10T18:00Z")
    assert flight["temperature_f"] == latest["temp"]
    assert flight["wind_mph"] == latest["wind_speed"]
