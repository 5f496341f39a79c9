"""A model as it is served: the registered ONNX artifact bound to its signature. Only who asks models imports this.

`frames` rows as columns of the signature · `artifacts` bytes by their digest · `onnx` the session ·
`outputs` its answer.
"""


class Unservable(Exception):
    """A model version that cannot answer now; `str(error)` says why. Nothing of it is served."""


class ModelFailed(Exception):
    """The model runs, but not on these rows; `str(error)` says why."""
