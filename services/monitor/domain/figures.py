"""How a figure is rounded before it is stated or compared."""

import math


def figure(value: float) -> float:
    """Ten significant digits: what sums of doubles taken in another order agree on. Not finite becomes NaN."""
    return float(f"{value:.10g}") if math.isfinite(value) else math.nan
