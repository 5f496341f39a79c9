"""Facts about what is asked: goals, KPIs and decisions."""

from typing import Literal

from shared.events.registry.parts import Formula, Part, RegistryPayload


class GoalStated(RegistryPayload):
    goal: str
    question: str
    owner: str
    decision: str = ""
    description: str = ""


class KpiDefined(RegistryPayload):
    kpi: str
    goal: str
    unit: str
    direction: Literal["lower", "higher"]
    target: float | None = None
    formula: Formula
    description: str = ""


class Informing(Part):
    """A model that informs a decision, and `how`: what of its answer is used for what."""

    model: str
    how: str = ""


class DecisionModelled(RegistryPayload):
    """A business decision as a decision model (OMG DMN 1.5): what is asked, by whom, and what it rests on.

    `models`: the models that inform it; `requires`: other decisions; `authorities`: policies, laws, people it follows.
    `dmn`: the XML of the decision model where there is one, `dmn_sha256` (hex) of it.
    """

    decision: str
    version: int
    question: str
    owner: str
    answers: tuple[str, ...] = ()
    goal: str | None = None
    kpis: tuple[str, ...] = ()
    models: tuple[Informing, ...] = ()
    requires: tuple[str, ...] = ()
    authorities: tuple[str, ...] = ()
    description: str = ""
    dmn: str = ""
    dmn_sha256: str = ""
