"""What a window's inputs tell: drift, of each feature and of all together, and whether the data are as they should."""

from dataclasses import dataclass

from services.monitor.comparing import limits_of, together, traffic_of
from services.monitor.domain.drift import Base, FeatureDrift, drift
from services.monitor.domain.integrity import Check, checks
from services.monitor.domain.multivariate import Multivariate
from services.monitor.domain.sketch import Sketch
from services.monitor.domain.window import Window
from services.monitor.facts import Version
from shared.log.store import UnitOfWork
from shared.runtime.settings import Settings


@dataclass(frozen=True, slots=True)
class Inputs:
    """What is measured of a window before any outcome."""

    drift: tuple[FeatureDrift, ...]
    multivariate: Multivariate | None
    integrity: tuple[Check, ...]


async def inputs_of(unit: UnitOfWork, settings: Settings, window: Window, sketch: Sketch, version: Version) -> Inputs:
    """Compare a window with its version's reference, and its traffic with that of the same hours before."""
    usual, rows = await traffic_of(unit, window.deployment, window.start, window.end - window.start)
    return Inputs(
        tuple(drift(sketch, version.bins, Base(version.reference, version.bins))),
        await together(sketch.rows, version.reference.rows),
        tuple(checks(sketch, version.reference, version.bins, limits_of(settings), usual, rows)),
    )
