"""Text as it may stand in XML."""

import re
from html import escape

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def escaped(text: str) -> str:
    """The text for an element or an attribute; characters that no XML may hold show as U+FFFD. Source: XML 1.0 §2.2."""
    return escape(_NO_XML.sub("\ufffd", text))
