"""Datasets: what models learn from, in versions 1 to n. Stream `dataset/{name}`."""

from collections.abc import Sequence
from dataclasses import dataclass

from services.registry.domain.frozen import differences
from services.registry.domain.names import check_name
from shared.events.envelope import Event, Payload
from shared.events.registry import DatasetRegistered

initial: tuple[DatasetRegistered, ...] = ()


@dataclass(frozen=True, slots=True)
class RegisterDataset:
    """`dataset.version` is not looked at: the decision counts."""

    dataset: DatasetRegistered


def decide(state: tuple[DatasetRegistered, ...], command: RegisterDataset) -> Sequence[Payload]:
    """The next version, or nothing where the newest version is the same. Raises Refused: bad name."""
    check_name("dataset", command.dataset.dataset)
    if state and not differences(state[-1], command.dataset, ignored=("version",)):
        return []
    return [command.dataset.model_copy(update={"version": len(state) + 1})]


def evolve(state: tuple[DatasetRegistered, ...], event: Event) -> tuple[DatasetRegistered, ...]:
    return (*state, event.data) if isinstance(event.data, DatasetRegistered) else state
