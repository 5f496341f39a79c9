"""An Arrow body with any byte changed is taken or refused, and never an error of ours."""

from datetime import UTC, datetime

import pytest

from services.monitor.intake import arrow_rows
from shared.events import batches
from shared.runtime.problems import Problem
from tests.component.monitor_story import SIGNATURE, table

WHOLE = batches.write(table(3))


@pytest.mark.parametrize("mask", [0xFF, 0x80, 0x01])
def test_a_body_with_a_changed_byte_is_taken_or_refused(mask: int) -> None:
    statuses: set[int] = set()
    for place in range(len(WHOLE)):
        body = bytearray(WHOLE)
        body[place] ^= mask
        try:
            opened = arrow_rows.opened(bytes(body))
            arrow_rows.predictions(bytes(body), opened, SIGNATURE, "batch", datetime.now(UTC), 300)
        except Problem as problem:
            statuses.add(problem.status)
    assert statuses == {422}
