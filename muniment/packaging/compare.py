"""How far the ONNX answers from its original on the sample, as it will be served."""

from typing import Any

import numpy as np

from muniment.packaging.sources import CannotPackage

WORST = 5


def compared(original: dict[str, np.ndarray], served: dict[str, np.ndarray], tolerance: float) -> dict[str, Any]:
    """Differences by output and over all: `max_difference` absolute; of labels, 1 where they differ. `within`: whether
    none is above the tolerance. Raises CannotPackage where an output is missing."""
    if missing := [name for name in original if name not in served]:
        raise CannotPackage(f"The ONNX has no output {', '.join(missing)}; it has {', '.join(served)}.")
    by_output = {name: _differences(values, served[name], tolerance) for name, values in original.items()}
    most = max((one["max_difference"] for one in by_output.values()), default=0.0)
    return {
        "compared": bool(by_output),
        "rows": len(next(iter(original.values()), ())),
        "tolerance": tolerance,
        "max_difference": most,
        "within": bool(most <= tolerance),
        "outputs": by_output,
    }


def _differences(original: np.ndarray, served: np.ndarray, tolerance: float) -> dict[str, Any]:
    if original.dtype.kind in "fiu" and served.dtype.kind in "fiu":
        both_missing = np.isnan(original.astype(float)) & np.isnan(served.astype(float))
        apart = np.abs(original.astype(float) - served.astype(float))
        apart = np.where(both_missing, 0.0, np.where(np.isnan(apart), np.inf, apart))
    else:
        apart = (original.astype(str) != served.astype(str)).astype(float)
    finite = np.minimum(apart, np.finfo(float).max)
    worst = [int(row) for row in np.argsort(-finite, kind="stable")[:WORST] if finite[row] > 0]
    return {
        "max_difference": float(finite.max(initial=0.0)),
        "mean_difference": float(finite.mean()) if len(finite) else 0.0,
        "rows_above_tolerance": int((finite > tolerance).sum()),
        "worst_rows": worst,
    }
