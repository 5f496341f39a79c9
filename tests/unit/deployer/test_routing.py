"""Routing: shares near their percent, keys that stay, and growth that takes from the champion only."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.deployer.domain import BUCKETS, arrange, bucket_of, route
from shared.events.deployer import Share, Traffic
from tests.unit.deployer.given import traffic

KEYS = [f"N{number}" for number in range(20_000)]


@st.composite
def traffics(draw: st.DrawFn) -> Traffic:
    """Any champion with up to four challengers whose shares sum to at most 100."""
    versions = draw(st.lists(st.integers(1, 8), min_size=1, max_size=5, unique=True))
    cuts = sorted(draw(st.lists(st.integers(0, BUCKETS), min_size=len(versions), max_size=len(versions))))
    shares = [(high - low) / 100 for low, high in pairwise(cuts)]
    return traffic(versions[0], *zip(versions[1:], shares, strict=True))


def owners(buckets: np.ndarray | None, wanted: Traffic) -> np.ndarray:
    return np.full(BUCKETS, wanted.champion) if buckets is None else buckets


@settings(deadline=None)
@given(st.lists(traffics(), min_size=1, max_size=6))
def test_each_version_owns_exactly_its_share_whatever_came_before(history: list[Traffic]) -> None:
    buckets = None
    for wanted in history:
        buckets = arrange(buckets, wanted)
        owned = owners(buckets, wanted)
        for share in wanted.challengers:
            assert np.count_nonzero(owned == share.version) == round(share.percent * 100)
        assert set(np.unique(owned)) <= {wanted.champion, *(share.version for share in wanted.challengers)}


@settings(deadline=None)
@given(traffics(), st.data())
def test_a_growing_share_moves_no_key_that_a_challenger_has(before: Traffic, data: st.DataObject) -> None:
    room = BUCKETS - sum(round(share.percent * 100) for share in before.challengers)
    grown: list[Share] = []
    for share in before.challengers:
        more = data.draw(st.integers(0, room))
        room -= more
        grown.append(Share(version=share.version, percent=(round(share.percent * 100) + more) / 100))
    wanted = before.model_copy(update={"challengers": tuple(grown)})
    first = arrange(None, before)
    then = arrange(first, wanted)
    had = owners(first, before)
    challenged = had != before.champion
    assert np.array_equal(owners(then, wanted)[challenged], had[challenged])


@settings(deadline=None)
@given(traffics(), st.data())
def test_a_promotion_moves_no_key_of_the_winner_nor_of_the_others(before: Traffic, data: st.DataObject) -> None:
    if not before.challengers:
        return
    winner = data.draw(st.sampled_from(before.challengers)).version
    others = tuple(share for share in before.challengers if share.version != winner)
    wanted = Traffic(champion=winner, challengers=(*others, Share(version=before.champion, percent=0.0)))
    first = arrange(None, before)
    had = owners(first, before)
    now = owners(arrange(first, wanted), wanted)
    assert np.array_equal(now[had != before.champion], had[had != before.champion])
    assert set(np.unique(now[had == before.champion])) <= {winner}


@pytest.mark.parametrize("percent", [1.0, 10.0, 50.0, 99.0])
def test_shares_of_real_keys_are_near_their_percent(percent: float) -> None:
    wanted = traffic(1, (2, percent))
    share = np.mean(route(wanted, arrange(None, wanted), "late", KEYS) == 2)
    error = 5 * np.sqrt(percent / 100 * (1 - percent / 100) / len(KEYS))
    assert abs(share - percent / 100) < error


def test_no_challengers_means_all_to_the_champion() -> None:
    assert route(traffic(4), None, "late", ["a", "b"]).tolist() == [4, 4]
    assert arrange(None, traffic(4, (5, 0.0))) is None


def test_all_to_the_challenger() -> None:
    wanted = traffic(1, (2, 100.0))
    assert route(wanted, arrange(None, wanted), "late", KEYS[:100]).tolist() == [2] * 100


@settings(deadline=None)
@given(st.text(), st.text())
def test_a_key_has_one_bucket(deployment: str, key: str) -> None:
    assert 0 <= bucket_of(deployment, key) == bucket_of(deployment, key) < BUCKETS


def test_buckets_do_not_change_between_releases() -> None:
    """Keys out in the field sit in these buckets: another hash would move them all."""
    assert [bucket_of("late", key) for key in ("N14228", "", "Zoë")] == [7322, 6930, 5959]


def test_luck_differs_between_deployments() -> None:
    same = np.mean([bucket_of("a", key) // 1000 == bucket_of("b", key) // 1000 for key in KEYS[:5_000]])
    assert 0.07 < same < 0.13
