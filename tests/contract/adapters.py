"""The adapters that the contract suites run over, by name."""

STORES = ("memory", "postgres")
LOGS = ("memory", "postgres", "kafka")
PAIRS = (("memory", "memory"), ("postgres", "postgres"), ("postgres", "kafka"))
"""(store, log) as they are used together."""
