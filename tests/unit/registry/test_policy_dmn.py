"""Decision tables of policies that come as DMN."""

import pytest

from services.registry.domain import policies
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
        DMN.format(hit="PRIORITY"),
        DMN.format(hit="FIRST").replace('"critical"', '"dire"'),
        DMN.format(hit="FIRST").replace('name="flags"', 'name="flag"'),
        '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>',
    ],
)
def test_dmn_that_says_something_else_is_refused(xml: str) -> None:
    with pytest.raises(Refused) as refused:
        table_of(xml)
    assert refused.value.code == "bad-dmn"
