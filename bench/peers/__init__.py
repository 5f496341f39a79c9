"""What the fold is measured against: each file runs in a virtual environment of its own, and knows nothing of Muniment.

`python FILE ROWS SECONDS` prints one JSON line: rows per call, seconds of the fastest call, the version, what was done.
"""
