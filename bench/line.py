"""What a measurement says, in one line."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """`ratio`: Muniment's figure by that of `peer`, which is measured in the same run or a fixed figure; `least`: what
    the ratio should be at least, None where nothing is asked."""

    what: str
    ratio: float
    peer: str
    least: float | None
    figures: str

    def __str__(self) -> str:
        wanted = "" if self.least is None else f"{'ok' if self.ratio >= self.least else 'BELOW'} (>= {self.least:g})"
        return f"{self.what:<46} {self.ratio:5.2f} of {self.peer:<48} {wanted:<15} {self.figures}"


def middle(rounds: list[tuple[float, float]]) -> tuple[float, float]:
    """The round (ours, peer's) with the median ratio, so that one disturbed round does not decide."""
    return sorted(rounds, key=lambda pair: pair[0] / pair[1])[len(rounds) // 2]


def load() -> str:
    """What else the machine is doing; figures on a busy machine are lower bounds."""
    one, five, _ = os.getloadavg()
    return f"{os.cpu_count()} cores, load average {one:.1f} over 1 minute, {five:.1f} over 5"
