"""Where settings come from."""

import re
from typing import Any, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

PREFIX = "MUNIMENT_"


class BadSetting(Exception):
    """A `MUNIMENT_…` variable that cannot be taken, for a person to read."""


class Environment(BaseSettings):
    """Settings read from `MUNIMENT_…` environment variables."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    @classmethod
    def read(cls, **given: Any) -> Self:
        """The settings of a process that starts, those given first. Raises BadSetting."""
        try:
            return cls(**given)
        except SettingsError as error:
            named = re.search('field "(.+?)"', str(error))
            raise BadSetting(f"{_variable(named[1] if named else '…')}: it is no JSON: {error.__cause__}") from error
        except ValidationError as error:
            wrong = (f"{_variable(*one['loc'])}: {one['msg']}" for one in error.errors(include_url=False))
            raise BadSetting("; ".join(wrong)) from error


def _variable(name: object = "…", *within: object) -> str:
    return ".".join((f"{PREFIX}{name}".upper(), *map(str, within)))
