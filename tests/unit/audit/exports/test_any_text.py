"""Whatever people wrote, the exports keep to their standards."""

import json
from typing import Any

import pytest
from cyclonedx.schema import OutputFormat, SchemaVersion
from cyclonedx.validation import make_schemabased_validator
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker
from prov.model import ProvDocument

from services.audit.exports import cyclonedx, openlineage, prov
from services.audit.exports.uris import as_uri
from services.audit.reports.facts import Facts
from tests.component.openlineage_reader import read
from tests.unit.audit.facts import day
from tests.unit.audit.reports.given import approved, deployed, evidence, fact, facts_of, registered, version

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
URI_REFERENCE = Draft202012Validator({"format": "uri-reference"}, format_checker=FormatChecker())
VALIDATOR = make_schemabased_validator(OutputFormat.JSON, SchemaVersion.V1_6)


@st.composite
def worded(draw: st.DrawFn) -> Facts:
    """A model whose free texts are any texts."""

    def with_data(base: Any, **changes: Any) -> Any:
        return fact(base.sequence, base.type, {**base.data, **changes}, 2, actor=draw(TEXT.filter(bool)))

    code = {"repo": draw(TEXT.filter(bool)), "commit": draw(TEXT.filter(bool)), "path": draw(st.none() | TEXT)}
    data = {
        "dataset": "d", "version": 1, "uri": draw(TEXT), "digest": draw(st.none() | TEXT), "rows": None,
        "columns": [{"name": draw(TEXT), "type": draw(TEXT), "description": "", "sources": [draw(TEXT)]}],
        "description": draw(TEXT),
    }  # fmt: skip
    trained = {
        "training_data": [{"dataset": "d", "version": 1}], "code": code, "description": draw(TEXT),
        "artifact": {"uri": draw(TEXT), "sha256": "ab" * 32}, "framework": draw(TEXT),
        "params": {draw(TEXT): draw(TEXT)},
    }  # fmt: skip
    made = with_data(version(1), **trained)
    said = [registered(), made, fact(70, "DatasetRegistered", data, 1), deployed(1)]
    said += [
        with_data(evidence(1, 71), report=draw(TEXT), name=draw(TEXT)),
        with_data(approved(1, "r", 72), comment=draw(TEXT)),
    ]
    return facts_of(*said)


@pytest.mark.parametrize(
    ("text", "uri"),
    [("s3://bucket/a b.csv", "s3://bucket/a%20b.csv"), ("file:///m/1.onnx", "file:///m/1.onnx"), ("a%20b", "a%20b"),
     ("100%", "100%25"), ("git@host:me/x.git", "git@host%3Ame/x.git"), ("external:x", "external:x"), ("[", "%5B"),
     ("https://h:80/p?q=1#f#g", "https://h:80/p?q=1#f%23g"), ("x://a:b/c", "x:/.//a:b/c"), ("", "")],
)  # fmt: skip
def test_texts_as_uris(text: str, uri: str):
    assert as_uri(text) == uri


@given(TEXT)
def test_a_uri_stays_as_it_is(text: str):
    assert as_uri(as_uri(text)) == as_uri(text)
    assert URI_REFERENCE.is_valid(as_uri(text))


@settings(max_examples=40, deadline=None)
@given(worded())
def test_cyclonedx_is_valid(facts: Facts):
    assert VALIDATOR.validate_str(json.dumps(cyclonedx.document(facts))) is None


@settings(max_examples=40, deadline=None)
@given(worded())
def test_prov_reads_it(facts: Facts):
    made = prov.document(facts)
    found = ProvDocument.deserialize(content=json.dumps(made), format="json")
    assert len(list(found.get_records())) == sum(len(rows) for name, rows in made.items() if name != "prefix")


@settings(max_examples=40, deadline=None)
@given(worded())
def test_the_openlineage_client_reads_it(facts: Facts):
    events = openlineage.events(facts)
    assert len(events) >= 4
    for event in events:
        read(event)


def test_the_same_facts_give_the_same_document():
    facts = facts_of(registered(), version(1), deployed(1), at=50, known_at=60)
    for build in (cyclonedx.document, prov.document, openlineage.events):
        assert build(facts) == build(facts)
    assert cyclonedx.document(facts)["metadata"]["timestamp"].startswith(f"{day(60):%Y-%m-%d}")
