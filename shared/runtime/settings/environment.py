"""Where settings come from."""

from pydantic_settings import BaseSettings, SettingsConfigDict


class Environment(BaseSettings):
    """Settings read from `MUNIMENT_…` environment variables."""

    model_config = SettingsConfigDict(env_prefix="MUNIMENT_", extra="ignore", frozen=True)
