"""Pictures of lineage: nothing lies on anything else, arrows lead left, and what is not drawn is counted."""

import xml.etree.ElementTree as ElementTree
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from services.audit.drawing import mermaid, svg
from services.audit.drawing.layout import layout
from services.audit.drawing.picture import ALIKE, ALIKE_MANY, Arrow, Picture, Shown, picture

SVG = "{http://www.w3.org/2000/svg}"


@st.composite
def pictures(draw: st.DrawFn) -> Picture:
    names = [f"version/{number}" for number in range(draw(st.integers(0, 12)))]
    nodes = tuple(Shown(name, "version", name, "") for name in names)
    pairs = st.tuples(st.sampled_from(names), st.sampled_from(names)) if names else st.nothing()
    arrows = draw(st.lists(pairs.filter(lambda pair: pair[0] != pair[1]), max_size=25)) if len(names) > 1 else []
    return Picture(nodes, tuple(Arrow(src, dst, "parent") for src, dst in arrows))


@given(pictures())
@settings(max_examples=200, deadline=None)
def test_cards_keep_apart_and_neighbours_never_share_a_layer(drawn: Picture):
    placed = layout(drawn, height=10, gap=3)
    columns: dict[int, list[float]] = {}
    for node in drawn.nodes:
        columns.setdefault(placed.layer[node.name], []).append(placed.y[node.name])
    for heights in columns.values():
        assert all(lower - upper >= 13 - 1e-6 for upper, lower in pairwise(sorted(heights)))
    for arrow in drawn.arrows:
        span = abs(placed.layer[arrow.src] - placed.layer[arrow.dst])
        assert span >= 1
        assert len(placed.bends[arrow.src, arrow.dst]) == span - 1
    assert all(placed.y[node.name] >= 5 - 1e-6 for node in drawn.nodes)


@given(pictures())
@settings(max_examples=50, deadline=None)
def test_without_cycles_every_arrow_leads_left(drawn: Picture):
    number = {node.name: place for place, node in enumerate(drawn.nodes)}
    later = tuple(one for one in drawn.arrows if number[one.src] > number[one.dst])
    placed = layout(Picture(drawn.nodes, later), height=10, gap=3)
    assert all(placed.layer[arrow.src] > placed.layer[arrow.dst] for arrow in later)


def node(kind: str, name: str, **attributes) -> dict:
    return {"kind": kind, "id": name, "attributes": attributes}


def edge(src: str, dst: str) -> dict:
    return {"src": src, "dst": dst, "role": "", "relation": "used"}


def test_a_crowd_of_the_same_kind_and_neighbours_shares_a_card():
    tests = [node("policy", f"e{number}") for number in range(20)]
    answer = {"nodes": [node("version", "m@1"), *tests, node("policy", "alone")]}
    answer["edges"] = [edge(f"policy/{one['id']}", "version/m@1") for one in tests]
    made = picture(answer, ["version/m@1"], 100)
    cards = [one for one in made.nodes if one.kind == "policy"]
    assert len(cards) == ALIKE + 1
    assert [one.title for one in cards if one.more] == ["15 more"]
    assert len([one for one in made.arrows if one.dst == "version/m@1"]) == ALIKE
    assert [one.name for one in made.nodes if one.start] == ["version/m@1"]


def test_alarms_of_many_days_share_a_card_although_each_hangs_on_its_own_window():
    days = [node("window", f"w{number}", predictions=1, outcomes=0, window_start="2013") for number in range(9)]
    alarms = [node("breach", f"b{number}") for number in range(9)]
    answer = {"nodes": [node("version", "m@1"), *days, *alarms]}
    answer["edges"] = [edge(f"{one['kind']}/{one['id']}", "version/m@1") for one in [*days, *alarms]]
    answer["edges"] += [edge(f"breach/b{number}", f"window/w{number}") for number in range(9)]
    made = picture(answer, ["version/m@1"], 100)
    for kind in ("window", "breach"):
        cards = [one for one in made.nodes if one.kind == kind]
        assert [one.more for one in cards] == [0] * (ALIKE_MANY - 1) + [9 - ALIKE_MANY + 1]
    last = [one.name for one in made.nodes if one.more]
    assert [(one.src, one.dst) for one in made.arrows if {one.src, one.dst} == set(last)] == [(last[1], last[0])]


def test_what_no_page_holds_is_counted():
    answer = {"nodes": [node("version", f"m@{number}") for number in range(9)], "edges": []}
    answer["edges"] = [edge(f"version/m@{number}", f"version/m@{number - 1}") for number in range(1, 9)]
    made = picture(answer, ["version/m@0"], 5)
    assert (len(made.nodes), made.hidden) == (5, 4)
    assert b"4 more are not drawn" in svg.render(made, "x")
    assert b"4 more are not drawn" in mermaid.render(made)


HOSTILE = "\"]; click n0 <script>&'"


def test_names_are_text_and_nothing_else():
    answer = {"nodes": [node("goal", HOSTILE, question=HOSTILE), node("kpi", "k")], "edges": []}
    answer["edges"] = [edge("kpi/k", f"goal/{HOSTILE}")]
    made = picture(answer, [f"goal/{HOSTILE}"], 5)
    root = ElementTree.fromstring(svg.render(made, HOSTILE))
    assert not list(root.iter(f"{SVG}script"))
    assert HOSTILE in [text.text for text in root.iter(f"{SVG}text")]
    flowchart = mermaid.render(made).decode()
    assert "<script" not in flowchart
    assert '"];' not in flowchart.replace('"]:::', "")


def test_what_no_xml_may_hold_shows_as_such():
    name = "bell\a\x1f\uffff"
    root = ElementTree.fromstring(svg.render(picture({"nodes": [node("goal", name)], "edges": []}, [], 5), name))
    assert root.findtext(f"{SVG}title") == "bell\ufffd\ufffd\ufffd"


def test_an_empty_picture_is_a_picture():
    assert ElementTree.fromstring(svg.render(Picture((), ()), "x")).tag == f"{SVG}svg"
    assert mermaid.render(Picture((), ())).startswith(b"flowchart RL")
