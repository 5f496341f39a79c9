"""Cold parts of the ledger: entries of old leaves in Parquet files, still read and still proven.

`place` where files lie · `file` what is in one · `reading` entries out of them, through a bounded cache · `store` the
store that fills them in · `checking` them beside the tree · `offline` without any server.
"""
