"""Kappas agree with scikit-learn and statsmodels; trust follows from how flags ended."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import fleiss_kappa

from services.feedback.domain.agreement import agreement, cohen, fleiss, trust

WORDS = st.sampled_from(["wrong", "right", "unsure"])


@given(st.lists(st.tuples(WORDS, WORDS), min_size=1, max_size=60))
def test_cohens_kappa_is_scikit_learns(pairs: list[tuple[str, str]]) -> None:
    first, second = [one for one, _ in pairs], [two for _, two in pairs]
    ours = cohen(first, second)
    if len(set(first) | set(second)) == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(cohen_kappa_score(first, second), abs=1e-12)


@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 10_000))
def test_fleiss_kappa_is_statsmodels(experts: int, things: int, seed: int) -> None:
    drawn = np.random.default_rng(seed).multinomial(experts, [0.5, 0.3, 0.2], size=things)
    ours = fleiss(drawn.tolist())
    if (drawn.sum(axis=0) > 0).sum() == 1:
        assert ours is None
    else:
        assert ours == pytest.approx(fleiss_kappa(drawn), abs=1e-12)


def test_fleiss_own_example() -> None:
    """Fleiss (1971), table 1: 30 patients, 6 psychiatrists, 5 diagnoses; the paper finds 0.430."""
    table = """0 0 0 6 0 · 0 3 0 0 3 · 0 1 4 0 1 · 0 0 0 0 6 · 0 3 0 3 0 · 2 0 4 0 0 · 0 0 4 0 2 · 2 0 3 1 0 · 2 0 0 4 0
    · 0 0 0 0 6 · 1 0 0 5 0 · 1 1 0 4 0 · 0 3 3 0 0 · 1 0 0 5 0 · 0 2 0 3 1 · 0 0 5 0 1 · 3 0 0 1 2 · 5 1 0 0 0 ·
    0 2 0 4 0 · 1 0 2 0 3 · 0 0 0 0 6 · 0 1 0 5 0 · 0 2 0 1 3 · 2 0 0 4 0 · 1 0 0 4 1 · 0 5 0 1 0 · 4 0 0 0 2 ·
    0 2 0 4 0 · 1 0 5 0 0 · 0 0 0 0 6"""
    counts = [[int(one) for one in row.split()] for row in table.split("·")]
    assert fleiss(counts) == pytest.approx(0.430, abs=5e-4)


def test_numbers_of_experts_that_differ_are_no_fleiss() -> None:
    with pytest.raises(ValueError, match="same number"):
        fleiss([[2, 0], [1, 0]])


def test_agreement_takes_the_number_of_experts_with_most_words() -> None:
    words = {
        "a": {"ana": True, "ben": True, "cem": False},
        "b": {"ana": False, "ben": False, "cem": False},
        "c": {"ana": True, "ben": False},
        "d": {"ana": True},
    }
    found = agreement(words)
    assert (found.things, found.experts) == (2, 3)
    assert found.fleiss == pytest.approx(fleiss([[1, 2], [3, 0]]))
    pairs = {pair.experts: (pair.things, pair.kappa) for pair in found.pairs}
    assert pairs["ana", "ben"] == (3, pytest.approx(cohen([1, 0, 1], [1, 0, 0])))
    assert pairs["ben", "cem"][0] == 2
    assert agreement({"a": {"ana": True}}).fleiss is None


def test_trust_is_the_share_upheld_with_a_flat_prior() -> None:
    def flag(who: str, resolution: str | None) -> dict[str, object]:
        return {"raised_by": who, "resolution": resolution}

    ana, ben = trust(
        [
            flag("ana", "model_defect"),
            flag("ana", "works_as_intended"),
            flag("ana", "label_corrected"),
            flag("ben", None),
        ]
    )
    assert (ana.raised, ana.answered, ana.upheld, ana.weight) == (3, 3, 2, 0.6)
    assert (ben.answered, ben.weight) == (0, 0.5)
