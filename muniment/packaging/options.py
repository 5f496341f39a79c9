"""What may be asked of a bundle beside its model."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Options:
    """`tolerance`: the largest absolute difference between original and ONNX. `target`: a column that is no feature.

    `output`: how the score is called. `tests`, `card`: the text of the tests' and of the model card's file."""

    name: str
    tolerance: float = 1e-4
    rows: int = 1_000
    target: str | None = None
    output: str | None = None
    tests: str = ""
    card: str = ""
    description: str = ""
    params: dict[str, Any] = field(default_factory=dict)
