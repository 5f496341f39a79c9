"""Rows as columns, in the types of a model's signature."""

# pyright: basic

from dataclasses import dataclass

import numpy as np

DTYPES = {"double": np.float64, "long": np.int64, "boolean": np.bool_, "string": np.object_}
Columns = dict[str, np.ndarray]


@dataclass(frozen=True, slots=True)
class Frame:
    """n rows; each column [n] in the dtype of its signature type (DTYPES), in the signature's order."""

    rows: int
    columns: Columns

    def take(self, rows: np.ndarray) -> "Frame":
        """These rows alone."""
        return Frame(len(rows), {name: column[rows] for name, column in self.columns.items()})
