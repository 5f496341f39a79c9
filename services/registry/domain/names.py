"""What names may look like: they are part of stream ids, URLs and file names."""

import re

from shared.events.refusal import Refused

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_ALIAS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
_MODEL = re.compile(r"\w(?:[\w .+,&=()-]{0,126}[\w.+,&=()-])?")
_BRANCH = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*")
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


def check_name(kind: str, name: str) -> None:
    """Raises Refused 422 `bad-name`. A model's name may hold letters of any script, more marks, and spaces within, as
    people have named theirs in MLflow."""
    if not (_MODEL if kind == "model" else NAME).fullmatch(name):
        marks = "any of . _ - + , & = ( ) and spaces within" if kind == "model" else "'.', '_' and '-'"
        raise Refused(
            "bad-name",
            f"'{name}' is no name for a {kind}: it starts with a letter or digit, and goes on with letters, digits, "
            f"{marks}, at most 128 in all.",
            status=422,
        )


def check_branch(name: str) -> None:
    """Raises Refused 422 `bad-name`. As in Git, a branch may lie in folders: `feature/trees`."""
    if not _BRANCH.fullmatch(name) or len(name) > 128:
        detail = f"'{name}' is no name for a branch: it has letters, digits, '.', '_', '-' and '/' within, at most 128."
        raise Refused("bad-name", detail, status=422)


def check_alias(alias: str) -> None:
    """Raises Refused 422 `bad-name`."""
    if not _ALIAS.fullmatch(alias):
        detail = f"'{alias}' is no alias: it has letters, digits, '.', '_' and '-', at most 128, no mark but '_' first."
        raise Refused("bad-name", detail, status=422)
    if alias.isdigit():
        raise Refused("bad-name", f"The alias '{alias}' would be taken for a version's number.", status=422)


def check_sha256(text: str) -> str:
    """The digest in lower case. Raises Refused 422 `bad-sha256`."""
    if not _SHA256.fullmatch(text):
        raise Refused("bad-sha256", f"'{text}' is no SHA-256: it has 64 hexadecimal digits.", status=422)
    return text.lower()
