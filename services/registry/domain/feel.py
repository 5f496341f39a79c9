"""Unary tests and expressions as people and modellers write them in FEEL (OMG DMN 1.5), for the engine, which reads
some of them otherwise: `]5..10[` is open at both ends, `?` is the value that is tested, dates are counted in seconds.

Pure. Texts in quotes are left as they are.
"""

import re

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
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def test_of(cell: str) -> tuple[str, bool]:
    """A unary test for the engine, and whether it is to be denied (`not(…)`). Raises ValueError for a range that is not
    understood."""
    denied = _NOT.fullmatch(cell)
    inner = _DATE.sub(_dated, denied["of"] if denied and _closes_last(cell) else cell)
    found = _RANGE.sub(_ranged, inner)
    if _ODD.search(_TEXTS.sub("0", found)):
        raise ValueError("a range has numbers, dates or texts at both ends")
    return found, bool(denied and _closes_last(cell))


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
