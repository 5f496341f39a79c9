"""How rows of answers and of their shadows find one another."""

import numpy as np
import pyarrow as pa

from services.monitor.domain.outcomes import tell, untold
from services.monitor.worker.joining import Told, lock_of
from services.monitor.worker.shadows import beside, divided, inherited, links_in

ANSWER, OTHER, SHADOW = (f"01890a5d-ac96-774b-bcce-b30209{tail}" for tail in ("9a8057", "9a8058", "9a8059"))


def told(rows: list[int], values: list[float]) -> Told:
    moments = np.arange(len(rows), dtype=np.int64)
    return Told("event", np.array(rows, np.int64), np.array(values), moments, moments + 100)


def linked() -> dict[str, list]:
    table = pa.record_batch({"shadow_of": [f"{ANSWER}-3", f"{OTHER}-0", f"{ANSWER}-1"]})
    return {link["answered"]: [link] for link in links_in(SHADOW, table)}


def test_outcomes_of_answers_are_those_of_their_shadows_rows() -> None:
    links = linked()
    found = list(beside([({"batch": ANSWER}, told([1, 2, 3, 900], [1.0, 0.0, 0.5, 0.0]))], links))
    ((shadow, outcomes),) = found
    assert (shadow, outcomes.event, outcomes.rows.tolist()) == (SHADOW, "event", [2, 0])
    assert (outcomes.values.tolist(), outcomes.at.tolist(), outcomes.told.tolist()) == ([1.0, 0.5], [0, 2], [100, 102])
    assert list(beside([({"batch": ANSWER}, told([2], [1.0]))], links)) == []
    assert links_in(SHADOW, pa.record_batch({"at": [1]})) == []


def test_a_shadow_whose_lock_is_not_held_waits_for_the_sweep() -> None:
    row = {"batch": SHADOW, "rows": 3}
    found = list(beside([({"batch": OTHER}, told([0], [1.0]))], linked()))
    assert divided(iter(found), {SHADOW: row}, {lock_of(SHADOW)})[0][0][0] == row
    for known, locked in (({}, {lock_of(SHADOW)}), ({SHADOW: row}, set())):
        now, (later,) = divided(iter(found), known, locked)
        assert (now, later.table) == ([], "pending_outcomes")
        named = {"prediction_id": f"{SHADOW}-1", "batch": SHADOW, "row": 1, "value": 1.0}
        assert named.items() <= later.row.items()


def test_what_is_known_of_an_answer_is_taken_over() -> None:
    link = linked()[ANSWER][0]
    assert inherited(link, untold(5)) is None
    truth, _ = tell(untold(5), *(np.array(one) for one in ([1, 2], [0.25, 1.0], [7, 8], [9, 10])))
    found = inherited(link, truth)
    assert found is not None
    assert (found.event, found.rows.tolist(), found.values.tolist(), found.told.tolist()) == ("", [2], [0.25], [9])
    assert inherited(link, untold(1)) is None
