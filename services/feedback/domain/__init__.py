"""Flags, and the threshold at which they are too many: one module per kind of stream."""
