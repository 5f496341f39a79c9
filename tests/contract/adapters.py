"""The adapters that the contract suites run over, by name; `together`: every unit of work is written with others'."""

STORES = ("memory", "postgres", "postgres-together")
LOGS = ("memory", "postgres", "kafka")
PAIRS = (("memory", "memory"), ("postgres", "postgres"), ("postgres", "kafka"))
"""(store, log) as they are used together."""
