import sys
from importlib.metadata import version

import pandas as pd
from drawn import REFERENCE, columns, timed

sys.path.pop(0)  # this file has the peer's name
from evidently import Report
from evidently.presets import DataDriftPreset

reference, now = pd.DataFrame(columns(REFERENCE, 0)), pd.DataFrame(columns(int(sys.argv[1]), 1))
timed(version("evidently"), "DataDriftPreset, one statistic", lambda: Report([DataDriftPreset()]).run(now, reference))
