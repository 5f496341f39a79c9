"""Inference: routes, tensors, runtimes, and the log of what was answered."""
