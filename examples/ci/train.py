"""A model to try the pipelines with: whether a flight arrives late, from its wind and its hour. Made data, seeded."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

FEATURES = ["wind", "hour"]


def table(rows: int, seed: int) -> pd.DataFrame:
    draw = np.random.default_rng(seed)
    wind, hour = draw.normal(10.0, 4.0, rows), draw.integers(5, 23, rows)
    late = (wind + hour + draw.normal(0.0, 3.0, rows) > 25).astype(int)
    return pd.DataFrame({"wind": wind, "hour": hour, "late": late, "origin": draw.choice(["JFK", "LGA"], rows)})


def build() -> LogisticRegression:
    known = table(2_000, 1)
    return LogisticRegression().fit(known[FEATURES], known["late"])


if __name__ == "__main__":
    folder = Path("data")
    folder.mkdir(exist_ok=True)
    table(1_000, 2)[FEATURES].to_parquet(folder / "sample.parquet")
    table(2_000, 3).to_parquet(folder / "holdout.parquet")
