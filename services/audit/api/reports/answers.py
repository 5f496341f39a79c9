"""What the endpoints of reports share: a model's document and its links."""

from typing import Any

from services.audit.moment import Moment
from services.audit.reports.gathering import Gathering
from services.audit.reports.press import Press
from shared.runtime.http import Call
from shared.runtime.problems import not_found
from shared.runtime.service import Service


async def made(service: Service, press: Press, model: str, when: Moment, base: str) -> dict[str, Any]:
    document = await press.model(model, when, base)
    if document is None:
        gathering = Gathering(service.store, when, service.settings.report_max_events)
        not_found("model", model, await gathering.models())
    return document


def base_url(call: Call) -> str:
    """Where the links of a report lead: the setting, or where this request came in."""
    return (call.service.settings.public_url or str(call.request.base_url)).rstrip("/")
