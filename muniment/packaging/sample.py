"""A sample of what a model was trained on, with its histograms: the reference that live data are compared with."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from muniment.packaging.sources import CannotPackage
from shared.models.frames import DTYPES, Frame

BINS = 20
MAX_CATEGORIES = 100
EXPECTED = "output."
"""Columns so named hold what the original answered."""


def read_frame(path: Path) -> pd.DataFrame:
    """A table of Parquet or CSV. Raises CannotPackage."""
    try:
        return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    except (OSError, ValueError) as error:
        raise CannotPackage(f"{path} is no table of Parquet or CSV that can be read: {error}") from error


def spaced(frame: pd.DataFrame, rows: int) -> pd.DataFrame:
    """At most so many rows, evenly spaced: the same file gives the same sample."""
    if len(frame) <= rows:
        return frame.reset_index(drop=True)
    return frame.iloc[np.linspace(0, len(frame) - 1, rows).astype(int)].reset_index(drop=True)


def kind_of(column: pd.Series) -> str:
    """The type of the signature for a column."""
    if pd.api.types.is_bool_dtype(column):
        return "boolean"
    if pd.api.types.is_integer_dtype(column):
        return "long"
    return "double" if pd.api.types.is_numeric_dtype(column) else "string"


def as_frame(table: pd.DataFrame, inputs: list[dict[str, str]]) -> Frame:
    """The rows as a served model gets them. Raises CannotPackage where a column is missing or of another type."""
    columns = {}
    for one in inputs:
        if one["name"] not in table:
            raise CannotPackage(
                f"The table has no column '{one['name']}'; it has {', '.join(map(str, table.columns))}."
            )
        try:
            columns[one["name"]] = table[one["name"]].to_numpy(dtype=DTYPES[one["type"]])
        except (TypeError, ValueError) as error:
            raise CannotPackage(f"The column '{one['name']}' does not hold {one['type']}: {error}") from error
    return Frame(len(table), columns)


def values_of(table: pd.DataFrame, names: list[str]) -> dict[str, list[Any]]:
    """Values by feature as JSON tells them, missing ones as null."""
    return {name: [None if pd.isna(value) else _plain(value) for value in table[name]] for name in names}


def histograms(table: Any, names: list[str]) -> dict[str, Any]:
    """Counts by bin for numbers, by value for the rest; and the share that is missing."""
    return {name: _histogram(table[name]) for name in names}


def _histogram(column: pd.Series) -> dict[str, Any]:
    missing = int(column.isna().sum())
    known = column.dropna()
    if kind_of(column) in ("double", "long") and len(known):
        counts, edges = np.histogram(known.to_numpy(float), BINS)
        return {"edges": edges.tolist(), "counts": counts.tolist(), "missing": missing}
    counted = known.astype(str).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    return {"counts": {str(k): int(v) for k, v in counted.head(MAX_CATEGORIES).items()}, "missing": missing}


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
