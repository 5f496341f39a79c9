"""The same ten features for every peer: a reference of 10,000 rows, and rows to be compared with it."""

import json
import sys
import time

import numpy as np

REFERENCE = 10_000
NAMES = [f"f{place}" for place in range(10)]


def columns(rows, seed):
    """Ten normal features by name."""
    rng = np.random.default_rng(seed)
    return {name: rng.normal(size=rows) for name in NAMES}


def timed(version, what, call, warm=True):
    """Print how long the fastest call takes, of as many as fit into the seconds that the command line gives."""
    seconds = float(sys.argv[2])
    if warm:
        call()
    best, start = float("inf"), time.perf_counter()
    while True:
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
        if time.perf_counter() - start > seconds:
            break
    print(json.dumps({"rows": int(sys.argv[1]), "seconds": best, "version": version, "what": what}))
