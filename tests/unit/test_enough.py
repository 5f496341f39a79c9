"""Limits of questions about named rows."""

import pytest

from shared.log.tables import enough


@pytest.mark.parametrize(("count", "limit"), [(0, 1), (1, 1), (2, 2), (3, 4), (200, 256), (256, 256), (257, 512)])
def test_a_limit_is_the_next_power_of_two(count, limit):
    assert enough(count) == limit
