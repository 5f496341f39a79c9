"""Pages of HTML: how templates are loaded, and the headers that let a browser show a file safely."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from hashlib import sha256
from typing import Any

from fastapi.responses import Response
from jinja2 import Environment, PackageLoader, StrictUndefined, Template

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


def template(package: str, name: str, filters: Mapping[str, Callable[..., Any]]) -> Template:
    """A template of a package's folder `templates`: all text is escaped, and what is missing is an error."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment.get_template(name)


def in_header(name: str) -> str:
    """A file's name as a header may hold it: models are called in any script."""
    return name.encode("ascii", "replace").decode()


def shown(data: bytes, media_type: str, name: str) -> Response:
    """A file that a browser shows, with its digest (RFC 9530) and a name to save it by."""
    headers = {
        "Repr-Digest": f"sha-256=:{b64encode(sha256(data).digest()).decode()}:",
        "Content-Disposition": f'inline; filename="{in_header(name)}"',
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=media_type, headers=headers)
