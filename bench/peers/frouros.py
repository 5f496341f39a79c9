import sys
from importlib.metadata import version

from drawn import NAMES, REFERENCE, columns, timed

sys.path.pop(0)  # this file has the peer's name
from frouros.detectors.data_drift import PSI

reference, now = columns(REFERENCE, 0), columns(int(sys.argv[1]), 1)
detectors = {}
for name in NAMES:
    detectors[name] = PSI()
    detectors[name].fit(X=reference[name])
timed(version("frouros"), "PSI alone", lambda: [detectors[name].compare(X=now[name]) for name in NAMES])
