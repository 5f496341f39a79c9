"""How far experts agree, beyond chance; and how often each of them was right. Pure.

Nobody has to install scikit-learn or statsmodels to run this service; both are what the tests compare these with.
"""

from collections import Counter
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

MAX_EXPERTS = 50
PRIOR = 1.0


def cohen(first: Sequence[Hashable], second: Sequence[Hashable]) -> float | None:
    """Cohen's kappa of two experts on the same things in the same order (Educational and Psychological Measurement 20,
    1960). None without things, or where both always say one and the same, when chance explains all."""
    if not first or len(first) != len(second):
        return None
    total = len(first)
    agreed = sum(a == b for a, b in zip(first, second, strict=True)) / total
    counts_a, counts_b = Counter(first), Counter(second)
    chance = sum(counts_a[name] * counts_b[name] for name in counts_a) / total**2
    return (agreed - chance) / (1 - chance) if chance < 1 else None


def fleiss(counts: Sequence[Sequence[int]]) -> float | None:
    """Fleiss' kappa (Psychological Bulletin 76, 1971). `counts`: of each thing how many experts put it into each
    category; the same number of experts, two or more, for every thing. None where chance explains all.

    Raises ValueError where the numbers of experts differ.
    """
    table = np.asarray(counts, np.float64)
    if table.ndim != 2 or not table.size:
        return None
    experts = table.sum(axis=1)
    if (experts != experts[0]).any():
        raise ValueError("Fleiss' kappa needs the same number of experts for every thing")
    if experts[0] < 2:
        return None
    agreed = ((table**2).sum(axis=1) - experts) / (experts * (experts - 1))
    shares = table.sum(axis=0) / table.sum()
    chance = float((shares**2).sum())
    return float((agreed.mean() - chance) / (1 - chance)) if chance < 1 else None


@dataclass(frozen=True, slots=True)
class Pair:
    """Two experts, on how many things both spoke, and their kappa."""

    experts: tuple[str, str]
    things: int
    kappa: float | None


@dataclass(frozen=True, slots=True)
class Agreement:
    """`fleiss` over the `things` on which `experts` many spoke: the number for which there are most words."""

    pairs: tuple[Pair, ...]
    fleiss: float | None
    things: int
    experts: int


def agreement(words: Mapping[str, Mapping[str, Hashable]]) -> Agreement:
    """How far experts agree. `words`: thing → expert → what they say of it. The first MAX_EXPERTS by name count."""
    names = sorted({name for said in words.values() for name in said})[:MAX_EXPERTS]
    pairs: list[Pair] = []
    for first, second in combinations(names, 2):
        both = [said for said in words.values() if first in said and second in said]
        if both:
            kappa = cohen([said[first] for said in both], [said[second] for said in both])
            pairs.append(Pair((first, second), len(both), kappa))
    known = [[said[name] for name in names if name in said] for said in words.values()]
    numbers = Counter(len(said) for said in known if len(said) > 1)
    if not numbers:
        return Agreement(tuple(pairs), None, 0, 0)
    experts = max(numbers, key=lambda number: (number * numbers[number], number))
    rows = [said for said in known if len(said) == experts]
    categories = sorted({str(word) for said in rows for word in said})
    counts = [[sum(str(word) == name for word in said) for name in categories] for said in rows]
    return Agreement(tuple(pairs), fleiss(counts), len(rows), experts)


@dataclass(frozen=True, slots=True)
class Trust:
    """An expert's flags that were answered, and those upheld: any answer but works-as-intended. `weight`: the expected
    share upheld after these, from a flat prior (Laplace's rule of succession): 0.5 for somebody new."""

    expert: str
    raised: int
    answered: int
    upheld: int

    @property
    def weight(self) -> float:
        return (self.upheld + PRIOR) / (self.answered + 2 * PRIOR)


def trust(flags: Sequence[Mapping[str, object]]) -> list[Trust]:
    """Of each expert, by name, how their flags ended. Rows of the view `flags`."""
    raised: Counter[str] = Counter(str(flag["raised_by"]) for flag in flags)
    answered = Counter(str(flag["raised_by"]) for flag in flags if flag["resolution"] is not None)
    refuted = Counter(str(flag["raised_by"]) for flag in flags if flag["resolution"] == "works_as_intended")
    return [Trust(name, raised[name], answered[name], answered[name] - refuted[name]) for name in sorted(raised)]
