"""Decision tables of policies that come as DMN."""

from xml.sax.saxutils import escape

import pytest

from services.registry.domain import policies
from services.registry.domain.decision_table import Unclear, check_table, rows_for
from services.registry.domain.dmn_table import table_of
from shared.events.refusal import Refused
from shared.events.registry import PolicyInput, PolicyRow, PolicyTable
from tests.unit.registry.test_policies import STRICT

DMN = """<?xml version="1.0"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" name="gates" namespace="x">
 <decision id="d1" name="Production"><decisionTable hitPolicy="{hit}">
  <input label="Risk tier"><inputExpression typeRef="string"><text>risk tier</text></inputExpression></input>
  <output name="evidence"/><output name="Approvals"/><output name="evidence days"/><output name="flags"/>
  <rule><inputEntry><text>-</text></inputEntry><outputEntry><text>"quality"</text></outputEntry>
   <outputEntry><text></text></outputEntry><outputEntry><text>90</text></outputEntry>
   <outputEntry><text>-</text></outputEntry><annotationEntry><text>everything</text></annotationEntry></rule>
  <rule><inputEntry><text>not("low")</text></inputEntry>
   <outputEntry><text>["security", "performance"]</text></outputEntry>
   <outputEntry><text>"risk_manager, auditor"</text></outputEntry><outputEntry><text>30</text></outputEntry>
   <outputEntry><text>"critical"</text></outputEntry></rule>
 </decisionTable></decision></definitions>"""


def test_a_dmn_table_is_read() -> None:
    table = table_of(DMN.format(hit="COLLECT"))
    assert table == PolicyTable(
        inputs=(PolicyInput(name="Risk tier", expression="risk_tier"),),
        rows=(
            PolicyRow(evidence=("quality",), evidence_days=90, annotation="everything"),
            PolicyRow(
                when={"Risk tier": 'not("low")'},
                evidence=("security", "performance"),
                approvals=("risk_manager", "auditor"),
                evidence_days=30,
                flags="critical",
            ),
        ),
    )
    policies.check(STRICT.model_copy(update={"table": table}))


@pytest.mark.parametrize(
    "xml",
    [
        "<a",
        "<a/>",
        DMN.format(hit="ALL"),
        DMN.format(hit="FIRST").replace('"critical"', '"dire"'),
        DMN.format(hit="FIRST").replace('name="flags"', 'name="flag"'),
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_dmn_that_says_something_else_is_refused(xml: str) -> None:
    with pytest.raises(Refused) as refused:
        table_of(xml)
    assert refused.value.code == "bad-dmn"


def row(*cells: str) -> str:
    first, *rest = (f"<text>{escape(cell)}</text>" for cell in cells)
    outputs = "".join(f'<outputEntry id="o">{cell}</outputEntry>' for cell in rest)
    return f'<rule id="r"><description>why</description><inputEntry id="i">{first}</inputEntry>{outputs}</rule>'


def modelled(hit: str, expression: str, kind: str, output: str, *rows: str) -> str:
    """As Camunda's modeller and dmn-js write it: ids, widths, places on the canvas and all."""
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<definitions xmlns="https://www.omg.org/spec/DMN/20191111/MODEL/" xmlns:biodi="http://bpmn.io/schema/dmn/biodi/2.0"
 xmlns:camunda="http://camunda.org/schema/1.0/dmn" xmlns:dmndi="https://www.omg.org/spec/DMN/20191111/DMNDI/"
 id="defs" name="DRD" namespace="http://camunda.org/schema/1.0/dmn" exporter="Camunda Modeler" exporterVersion="5.19.0">
 <decision id="Decision_1" name="flags">
  <informationRequirement id="x"><requiredInput href="#in"/></informationRequirement>
  <decisionTable id="t" hitPolicy="{hit}" biodi:annotationsWidth="300">
   <input id="i1" label="Input" biodi:width="192" camunda:inputVariable="v">
    <inputExpression id="e1" typeRef="{kind}" expressionLanguage="feel"><text>{expression}</text></inputExpression>
    <inputValues id="v1"><text>"low","medium","high"</text></inputValues></input>
   {output}{"".join(rows)}</decisionTable></decision>
 <inputData id="in" name="Input"/>
 <dmndi:DMNDI><dmndi:DMNDiagram/></dmndi:DMNDI></definitions>"""


FLAGS = (
    '<output id="o1" typeRef="string"{more}><outputValues id="v"><text>"low","high","critical"</text></outputValues>'
)
FLAGS += "{default}</output>"


def demanded(table: PolicyTable, **params: object) -> list[object]:
    facts = {"risk_tier": "high", "params": params}
    return [row.flags for row in rows_for(table, facts)]


def test_dates_are_compared_as_days_and_nothing_is_none() -> None:
    cells = ['< date("2026-01-01")', '[date("2026-01-01")..date("2026-07-01")[', '>= date("2026-07-01")']
    rows = [row(cell, f'"{flag}"') for cell, flag in zip(cells, ("low", "high", "critical"), strict=True)]
    xml = modelled("UNIQUE", "params.trained", "date", FLAGS.format(more="", default=""), *rows)
    table = table_of(xml)
    policies.check(STRICT.model_copy(update={"table": table}))
    found = [demanded(table, trained=day) for day in ("2025-12-31", "2026-01-01", "2026-06-30", "2026-07-01")]
    assert found == [["low"], ["high"], ["high"], ["critical"]]
    with pytest.raises(Unclear):
        demanded(table)


def test_the_only_output_may_bear_the_decisions_name_and_a_default_holds_for_the_rest() -> None:
    output = FLAGS.format(more="", default='<defaultOutputEntry><text>"critical"</text></defaultOutputEntry>')
    table = table_of(
        modelled("FIRST", "params.depth", "number", output, row("]3..10[", '"low"'), row("> 20", '"high"'))
    )
    assert [demanded(table, depth=depth) for depth in (3, 4, 10, 21, None)] == [
        *(["critical"], ["low"], ["critical"], ["high"], ["critical"])
    ]


def test_of_several_that_apply_the_priority_decides() -> None:
    rows = [row("> 3", '"critical"'), row("> 2", '"low"'), row("> 1", '"high"')]
    table = table_of(
        modelled("PRIORITY", "params.depth", "number", FLAGS.format(more=' name="flags"', default=""), *rows)
    )
    assert [demanded(table, depth=depth) for depth in (4, 3, 2)] == [["low"], ["low"], ["high"]]
    unsaid = modelled("PRIORITY", "params.depth", "number", '<output name="flags"/>', *rows)
    with pytest.raises(Refused, match="outputValues"):
        table_of(unsaid)


def test_names_are_known_however_they_are_written() -> None:
    for written in ("riskTier", "Risk Tier", "risk_tier", "risk tier"):
        table = table_of(
            modelled("FIRST", written, "string", '<output name="Flags"/>', row('not("low","medium")', '"high"'))
        )
        assert demanded(table) == ["high"], written


@pytest.mark.parametrize(
    ("cell", "value", "holds"),
    [
        *(("]5..10[", 5, False), ("]5..10[", 7, True), ("[5..10[", 10, False), ("]5..10]", 10, True)),
        *(("not([5..10])", 7, False), ("not(> 5)", 5, True), ("not(< 5, > 10)", 12, False), ("? > 5", 7, True)),
        *(('not("a", "b")', "c", True), ('"]5..10["', "]5..10[", True), ('not("a)")', "a)", False)),
        *(("]x+1..9[", 5, None), ("]5", 5, None), ("(((", 5, None), ("not(null)", 3, True), ("]1..2[, 20", 20, True)),
        *(('"so, high, ok"', "so, high, ok", True), ('"O\'Neil \\"Al\\""', 'O\'Neil "Al"', True), ("'a'", "a", True)),
        *(('"\\\\"', "\\", True), ('not("\\"")', '"', False), (r'matches(?, "^\d$")', "5", True)),
        *(('starts with(?, "a")', "ab", True), ('list contains(?, "a")', ["b"], False), ("count(?) > 1", [1, 2], True)),
        *((' > "m"', "z", None), ('["a".."m"]', "b", None), ('"starts with("', "starts with(", True)),
        *(('@"2026-05-01"', 1777593600.0, True), ('< date and time("2026-05-01T00:00:00Z")', 1777593599.0, True)),
    ],
)
def test_cells_say_what_feel_says(cell: str, value: object, holds: bool | None) -> None:
    """None: it is refused when the policy is stated."""
    table = PolicyTable(inputs=(PolicyInput(name="params.x"),), rows=(PolicyRow(when={"params.x": cell}), PolicyRow()))
    if holds is None:
        with pytest.raises(Refused, match=r"cannot be read: [^{}]+\.$"):
            check_table(table, ["params"])
        return
    check_table(table, ["params"])
    assert len(rows_for(table, {"params": {"x": value}})) == 1 + holds


@pytest.mark.parametrize("cell", ["high", '"low", high', "not(high)", "> high", "[low..high]", "lower case(high)"])
def test_a_text_without_quotes_is_refused_wherever_it_stands(cell: str) -> None:
    table = PolicyTable(inputs=(PolicyInput(name="risk_tier"),), rows=(PolicyRow(when={"risk_tier": cell}),))
    with pytest.raises(Refused, match=r"write \"(high|low)\" for that text"):
        check_table(table, ["risk_tier"])


def test_functions_of_feel_are_known_in_inputs_and_labels_may_come_twice() -> None:
    xml = modelled("FIRST", "x", "string", '<output name="Flags"/>', row('"high"', '"high"'))
    one = xml[xml.index("<input ") : xml.index("</input>") + len("</input>")]
    two = one.replace("<text>x</text>", "<text>lower case(risk_tier)</text>")
    table = table_of(
        xml.replace(one, two + two).replace("<inputEntry", "<inputEntry><text>-</text></inputEntry><inputEntry")
    )
    assert [one.expression for one in table.inputs] == ["lower(risk_tier)"] * 2
    assert len({one.name for one in table.inputs}) == 2
    check_table(table, ["risk_tier"])
    assert [row.flags for row in rows_for(table, {"risk_tier": "HIGH"})] == ["high"]
