"""Datasets: what models learn from, in versions 1 to n. Stream `dataset/{name}`."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from services.registry.domain.frozen import differences
from services.registry.domain.names import check_name
from shared.events.envelope import Event, Payload
from shared.events.refusal import Refused
from shared.events.registry import DatasetRegistered

initial: DatasetRegistered | None = None
"""The newest version: the older ones decide on nothing, and may be as many as a job has runs."""


@dataclass(frozen=True, slots=True)
class RegisterDataset:
    """`dataset.version` is not looked at: the decision counts. `said`: fields that count; the others stay as the newest
    version has them (None: all count)."""

    dataset: DatasetRegistered
    said: frozenset[str] | None = None


def decide(state: DatasetRegistered | None, command: RegisterDataset) -> Sequence[Payload]:
    """The next version, or nothing where the newest version is the same. Raises Refused: bad name, 422 `bad-columns`
    where two columns have one name."""
    check_name("dataset", command.dataset.dataset)
    given = command.dataset
    counted = Counter(one.name for one in given.columns)
    if twice := [name for name, times in counted.items() if times > 1]:
        raise Refused("bad-columns", f"Two columns are called '{twice[0]}'.", status=422)
    if state is None:
        return [given.model_copy(update={"version": 1})]
    if command.said is not None:
        given = state.model_copy(update={name: getattr(given, name) for name in command.said})
    if not differences(state, given, ignored=("version",)):
        return []
    return [given.model_copy(update={"version": state.version + 1})]


def evolve(state: DatasetRegistered | None, event: Event) -> DatasetRegistered | None:
    return event.data if isinstance(event.data, DatasetRegistered) else state
