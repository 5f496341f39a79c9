"""Unary tests and expressions as people and modellers write them in FEEL (OMG DMN 1.5), for the engine, which reads
some of them otherwise: `]5..10[` is open at both ends, `?` is the value that is tested, dates are counted in seconds,
functions have names with spaces, and texts hold escaped quotes.

Pure. Texts in quotes are left as they are; those with an escape, which the engine does not know, become names.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_NUMBER = r"-?\d+(?:\.\d+)?"
_TEXT = r'"(?:[^"\\]|\\.)*"'
_END = rf"(?:{_NUMBER}|date\({_TEXT}\)|{_TEXT}|[A-Za-z_$][\w.]*)"
_RANGE = re.compile(
    rf"(?P<text>{_TEXT}(?!\s*\.\.))"
    rf"|(?P<from>[\[\](])\s*(?P<low>{_END})\s*\.\.\s*(?P<high>{_END})\s*(?P<to>[\[\])])"
)
_DATE = re.compile(
    rf"@\"(?P<at>\d{{4}}-\d\d-\d\d[^\"]*)\"|(?P<text>{_TEXT})"
    r"|(?P<call>\bdate and time\s*\(|\bdate\s*\()|(?P<tested>\?)"
)
_TEXTS = re.compile(_TEXT)
_ODD = re.compile(r"^\s*\]|[,(]\s*\]|\[\s*$|\[\s*,")
_NOT = re.compile(r"\s*not\s*\((?P<of>.*)\)\s*", re.DOTALL)
_FUNCTIONS = {
    "starts with": "startsWith",
    "ends with": "endsWith",
    "lower case": "lower",
    "upper case": "upper",
    "string length": "len",
    "list contains": "contains",
    "count": "len",
    "mean": "avg",
    "ceiling": "ceil",
}
_CALLS = re.compile(rf"(?P<text>{_TEXT})|\b(?P<name>{'|'.join(_FUNCTIONS)})\s*\(")
_ESCAPE = re.compile(r"""\\(?:u([0-9A-Fa-f]{4})|(["'\\nrt]))""")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t"}
_ORDERED = re.compile(r'[<>]=?\s*"|"\s*\.\.|\.\.\s*"')
_SINGLE = re.compile(r"'[^']*'")
_WORD = re.compile(r"(?<![\w.$])[A-Za-z_]\w*\b(?!\s*\()")
_SAID = frozenset({"true", "false", "null", "and", "or", "in", "not"})
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Test:
    """A unary test for the engine; whether it is to be denied (`not(…)`); texts that it speaks of by name; and words
    that stand for nothing, such as a text without its quotes."""

    text: str
    denied: bool
    texts: Mapping[str, str] = field(default_factory=dict[str, str])
    unknown: tuple[str, ...] = ()


def test_of(cell: str) -> Test:
    """Raises ValueError for a range that is not understood, and for an order of texts, which the engine has not."""
    denied = _NOT.fullmatch(cell) if _closes_last(cell) else None
    texts: dict[str, str] = {}

    def named(found: re.Match[str]) -> str:
        if "\\" not in found[0]:
            return found[0]
        name = f"text_{len(texts)}"
        texts[name] = _ESCAPE.sub(_unescaped, found[0][1:-1])
        return name

    inner = _DATE.sub(_dated, denied["of"] if denied else cell)
    found = expression_of(_TEXTS.sub(named, _RANGE.sub(_ranged, inner)))
    bare = _TEXTS.sub('""', found)
    if _ODD.search(bare):
        raise ValueError("a range has numbers or dates at both ends")
    if _ORDERED.search(bare):
        raise ValueError("texts have no order here; name each of them")
    bare = _SINGLE.sub('""', bare)
    unknown = tuple(word for word in _WORD.findall(bare) if word not in _SAID and word not in texts)
    return Test(found, denied is not None, texts, unknown)


def expression_of(text: str) -> str:
    """FEEL's functions under the engine's names."""
    return _CALLS.sub(lambda found: found["text"] or f"{_FUNCTIONS[found['name']]}(", text)


def _unescaped(found: re.Match[str]) -> str:
    return chr(int(found[1], 16)) if found[1] else _ESCAPED.get(found[2], found[2])


def name_of(text: str) -> str:
    """`Risk tier` and `riskTier` as `risk_tier`."""
    return re.sub(r"[\s-]+", "_", _CAMEL.sub("_", text.strip())).lower()


def _closes_last(cell: str) -> bool:
    """Whether the bracket behind the first `not` is closed at the very end, and no sooner."""
    bare = _TEXTS.sub(lambda found: " " * len(found[0]), cell).rstrip()
    depth = 0
    for place, mark in enumerate(bare):
        depth += (mark == "(") - (mark == ")")
        if depth == 0 and mark == ")":
            return place == len(bare) - 1
    return False


def _dated(found: re.Match[str]) -> str:
    if found["at"]:
        return f'date("{found["at"]}")'
    return found["text"] or ("date(" if found["call"] else "$")


def _ranged(found: re.Match[str]) -> str:
    if found["text"]:
        return found["text"]
    start, end = "[" if found["from"] == "[" else "(", "]" if found["to"] == "]" else ")"
    return f"{start}{found['low']}..{found['high']}{end}"
