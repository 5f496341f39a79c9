"""pandas for the demo; its own types are too partial to check code against."""

from typing import Any, TypeAlias

import pandas

pd: Any = pandas
Frame: TypeAlias = Any
Series: TypeAlias = Any
