"""What the endpoints of reports share: a model's document, its links, and a file as an answer."""

import hashlib
from base64 import b64encode
from typing import Any

from fastapi.responses import Response

from services.audit.moment import Moment
from services.audit.reports.gathering import Gathering
from services.audit.reports.press import MEDIA_TYPES, Format, Press
from shared.runtime.http import Call
from shared.runtime.problems import not_found
from shared.runtime.service import Service

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'"


async def made(service: Service, press: Press, model: str, when: Moment, base: str) -> dict[str, Any]:
    document = await press.model(model, when, base)
    if document is None:
        gathering = Gathering(service.store, when, service.settings.report_max_events)
        not_found("model", model, await gathering.models())
    return document


def base_url(call: Call) -> str:
    """Where the links of a report lead: the setting, or where this request came in."""
    return (call.service.settings.public_url or str(call.request.base_url)).rstrip("/")


def file_response(data: bytes, format: Format, name: str) -> Response:
    """A file with its digest (RFC 9530) and a name to save it by."""
    headers = {
        "Repr-Digest": f"sha-256=:{b64encode(hashlib.sha256(data).digest()).decode()}:",
        "Content-Disposition": f'inline; filename="{name}.{format}"',
        "Content-Security-Policy": POLICY,
        "X-Content-Type-Options": "nosniff",
    }
    return Response(data, media_type=MEDIA_TYPES[format], headers=headers)
