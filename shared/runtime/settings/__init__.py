"""Every setting by what it is about, read from `MUNIMENT_…` environment variables. What grows has its limit here."""

from shared.runtime.settings.alerts import AlertSettings
from shared.runtime.settings.audit import AuditSettings
from shared.runtime.settings.console import ConsoleSettings
from shared.runtime.settings.consuming import ConsumingSettings
from shared.runtime.settings.deployer import DeployerSettings
from shared.runtime.settings.environment import BadSetting
from shared.runtime.settings.feedback import FeedbackSettings
from shared.runtime.settings.monitor import MonitorSettings
from shared.runtime.settings.process import ProcessSettings
from shared.runtime.settings.registry import RegistrySettings

__all__ = ["BadSetting", "Settings"]


class Settings(
    ConsoleSettings,
    AuditSettings,
    FeedbackSettings,
    AlertSettings,
    MonitorSettings,
    DeployerSettings,
    RegistrySettings,
    ConsumingSettings,
    ProcessSettings,
):
    """Settings of one process. Sizes in bytes, times in seconds unless the name says otherwise."""
