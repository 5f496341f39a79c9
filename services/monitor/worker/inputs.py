"""What a window's inputs tell: drift, of each feature and of all together, and whether the data are as they should."""

from collections import OrderedDict
from dataclasses import dataclass, field

from services.monitor.comparing import limits_of, together, traffic_of
from services.monitor.domain.drift import Base, FeatureDrift, drift
from services.monitor.domain.integrity import Check, checks
from services.monitor.domain.multivariate import Multivariate
from services.monitor.domain.sketch import Sketch
from services.monitor.domain.window import Window
from services.monitor.facts import Version
from shared.log.store import UnitOfWork
from shared.runtime.settings import Settings

REMEMBERED = 1_024
"""Windows whose comparison is remembered: some kilobytes each."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is measured of a window before any outcome."""

    drift: tuple[FeatureDrift, ...]
    multivariate: Multivariate | None
    integrity: tuple[Check, ...]


@dataclass(slots=True)
class Compared:
    """Remembers how the last windows compared with their references: outcomes that come late have a window measured
    again, and change nothing of its inputs. Predictions only ever join a window, so their number tells its inputs."""

    _found: OrderedDict[tuple[Window, int], tuple[tuple[FeatureDrift, ...], Multivariate | None]] = field(
        default_factory=OrderedDict[tuple[Window, int], tuple[tuple[FeatureDrift, ...], Multivariate | None]]
    )

    async def inputs(
        self, unit: UnitOfWork, settings: Settings, window: Window, sketch: Sketch, version: Version
    ) -> Inputs:
        """Compare a window with its version's reference, and its traffic with that of the same hours before."""
        usual, rows = await traffic_of(unit, window.deployment, window.start, window.end - window.start)
        key = window, sketch.predictions
        if key not in self._found:
            features = tuple(drift(sketch, version.bins, Base(version.reference, version.bins)))
            self._found[key] = features, await together(sketch.rows, version.reference.rows)
            while len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        found = checks(sketch, version.reference, version.bins, limits_of(settings), usual, rows)
        return Inputs(*self._found[key], tuple(found))
