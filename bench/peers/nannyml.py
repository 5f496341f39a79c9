import sys
from importlib.metadata import version

import pandas as pd
from drawn import NAMES, REFERENCE, columns, timed

sys.path.pop(0)  # this file has the peer's name
import nannyml

reference, now = pd.DataFrame(columns(REFERENCE, 0)), pd.DataFrame(columns(int(sys.argv[1]), 1))
calculator = nannyml.UnivariateDriftCalculator(
    column_names=NAMES, continuous_methods=["jensen_shannon", "kolmogorov_smirnov"], chunk_number=1
)
calculator.fit(reference)
timed(version("nannyml"), "Jensen-Shannon and KS", lambda: calculator.calculate(now))
