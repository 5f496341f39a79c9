"""Any text as a URI reference (RFC 3986): what is one stays as it is, all else is percent-encoded."""

import re
from urllib.parse import quote

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_AUTHORITY = re.compile(r"//(?:[A-Za-z0-9._~%!$&'()*+,;=-]*@)?[A-Za-z0-9._~%!$&'()*+,;=-]*(?::\d*)?(?=[/?#]|$)")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_PATH = "%/@!$&'()*+,;=:~-._"


def as_uri(text: str) -> str:
    """The text as a URI, or as a relative reference where it names no scheme."""
    scheme = _SCHEME.match(text)
    start = scheme.end() if scheme else 0
    authority = _AUTHORITY.match(text, start)
    place = authority.end() if authority else start
    rest, sharp, fragment = text[place:].partition("#")
    path, mark, query = rest.partition("?")
    if not authority and path.startswith("//"):
        path = "/." + path  # two slashes would begin an authority
    if not scheme and not authority:
        path = path.replace(":", "%3A")
    made = [_encoded(path, _PATH), mark, _encoded(query, _PATH + "?"), sharp, _encoded(fragment, _PATH + "?")]
    return _STRAY_PERCENT.sub("%25", text[:place]) + "".join(made)


def _encoded(text: str, safe: str) -> str:
    return quote(_STRAY_PERCENT.sub("%25", text), safe=safe)
