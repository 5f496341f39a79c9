"""The key that signs links."""

from shared.runtime.installation_key import installation_key
from shared.runtime.settings import Settings

FILE = "flag-signing-key"


def link_key(settings: Settings) -> bytes:
    """From `flag_signing_key`, or from a file in `data_dir`, made where it is missing. Raises ValueError where the key
    is too short to sign anything."""
    return installation_key(settings.flag_signing_key, "MUNIMENT_FLAG_SIGNING_KEY", settings.data_dir / FILE)
