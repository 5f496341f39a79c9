"""The sections of a report, one room for each matter; every function here is pure."""
