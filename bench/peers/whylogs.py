import sys
from importlib.metadata import version

import pandas as pd
from drawn import columns, timed

sys.path.pop(0)  # this file has the peer's name
import whylogs

now = pd.DataFrame(columns(int(sys.argv[1]), 1))
timed(version("whylogs"), "log, its default profile", lambda: whylogs.log(now))
