"""Until when a flag has to be answered."""

from datetime import datetime, timedelta

from shared.events.feedback import Severity
from shared.runtime.settings import Settings


def due_of(settings: Settings, severity: Severity, since: datetime) -> datetime | None:
    """By severity; None where the settings name no time for it."""
    seconds = settings.flags_due_seconds.get(severity)
    return since + timedelta(seconds=seconds) if seconds is not None else None
