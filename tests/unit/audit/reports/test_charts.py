"""Charts: well-formed, escaped, and true to their points."""

import xml.etree.ElementTree as ET
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.reports.charts import Mark, bars, heat, lines
from services.audit.reports.charts.lines import Limit
from services.audit.reports.charts.svg import dates, tick_label, ticks
from services.audit.reports.words import count, figures, listed, number, percent
from tests.unit.audit.facts import day

SVG = "{http://www.w3.org/2000/svg}"


def texts(drawing: str) -> list[str]:
    return [one.text or "" for one in ET.fromstring(drawing).iter(f"{SVG}text")]


def test_a_chart_is_xml_and_escapes_what_it_writes():
    drawing = lines(
        "<&>", {"a <b> & c": [(day(0), 1.0), (day(9), 2.0)]}, limit=Limit(1.5, "<limit>"), marks=[Mark(day(4), "&")]
    )
    assert {"a <b> & c", "<limit>", "&"} <= set(texts(drawing))


def test_a_chart_is_xml_whatever_its_names_hold():
    assert "a\ufffd" in texts(lines("\x00", {"a\a": [(day(0), 1.0), (day(9), 2.0)]}, marks=[Mark(day(4), "\x1f")]))


def test_higher_values_are_drawn_higher():
    drawing = lines("x", {"a": [(day(0), 1.0), (day(1), 5.0), (day(2), 3.0)]})
    path = next(one for one in ET.fromstring(drawing).iter(f"{SVG}path"))
    heights = [float(step.split()[1]) for step in path.attrib["d"].replace("M", "|").replace("L", "|").split("|")[1:]]
    assert heights[1] < heights[2] < heights[0]


def test_bars_have_the_height_of_their_amounts():
    drawing = bars("x", ["Jan", "Feb"], {"v": [10.0, 20.0]})
    boxes = [one for one in ET.fromstring(drawing).iter(f"{SVG}rect")][1:]  # noqa: C416
    low, high = (float(one.attrib["height"]) for one in boxes)
    assert high == pytest.approx(2 * low, abs=0.2)


def test_a_cell_beyond_the_limit_is_coloured_and_bears_its_value():
    drawing = heat("x", ["f"], ["Jan", "Feb"], {("f", "Jan"): 0.1, ("f", "Feb"): 9.0}, 0.2)
    fills = [one.attrib["fill"] for one in ET.fromstring(drawing).iter(f"{SVG}rect")]
    assert fills == ["#eef2f7", "#a4262c"]
    assert {"0.10", "9.00"} <= set(texts(drawing))


@pytest.mark.parametrize(
    "draw", [lambda: lines("x", {}), lambda: bars("x", [], {}), lambda: heat("x", [], [], {}, 1.0)]
)
def test_nothing_to_draw_is_an_error(draw):
    with pytest.raises(ValueError, match="a chart needs"):
        draw()


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9))
@settings(deadline=None)
def test_ticks_enclose_the_values_in_few_even_steps(low: float, span: float):
    found = ticks(low, low + span)
    step = found[1] - found[0]
    assert found[0] <= low + step * 1e-6
    assert found[-1] >= low + span - step * 1e-6
    assert 2 <= len(found) <= 8


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (0.4, 0.9), (0, 0.25), (0.61, 0.62), (-5, 5), (0, 30_000), (1e6, 3e6)]
)
def test_no_two_ticks_bear_the_same_label(low: float, high: float):
    found = ticks(low, high)
    assert len({tick_label(value, found[1] - found[0]) for value in found}) == len(found)


@given(st.integers(0, 4000))
@settings(deadline=None)
def test_a_time_axis_has_at_most_a_dozen_labels(days: int):
    found = dates(day(0), day(0) + timedelta(days=days))
    assert len(found) <= 12
    assert all(day(0) <= at <= day(days) for at, _ in found)


@given(st.lists(st.tuples(st.integers(0, 900), st.floats(-1e6, 1e6)), min_size=1, max_size=80))
@settings(deadline=None)
def test_any_points_make_a_drawing(points: list[tuple[int, float]]):
    drawing = lines("x", {"a": [(day(at), value) for at, value in points]})
    assert "nan" not in drawing
    assert ET.fromstring(drawing).attrib["role"] == "img"


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.123456, "0.1235"), (0.5, "0.5"), (1234, "1,234"), (36.93, "36.93"), (0.00001, "1.000e-05"), (None, "–"),
     (float("nan"), "–"), (1e6 + 0.5, "1.000e+06"), (0.0, "0"), (-2.5, "-2.5")],
)  # fmt: skip
def test_numbers_are_written_one_way(value: float | None, words: str):
    assert number(value) == words


def test_words():
    assert [count(n, "flag") for n in (0, 1, 1200)] == ["no flags", "1 flag", "1,200 flags"]
    assert [listed(one) for one in ([], ["a"], ["a", "b"], ["a", "b", "c"])] == ["", "a", "a and b", "a, b and c"]
    assert percent(1, 0) == "–"
    assert figures({"b": 0.25, "a": True}) == "a yes; b 0.25"
