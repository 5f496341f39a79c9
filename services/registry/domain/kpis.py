"""KPIs: how well a goal is met, in a unit that the business knows. Stream `kpi/{name}`."""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from services.registry.domain.frozen import register_once
from services.registry.domain.names import check_name
from shared.events.envelope import Event, Payload
from shared.events.expression import NotAnExpression, names_in
from shared.events.plain import not_plain
from shared.events.refusal import Refused
from shared.events.registry import Formula, KpiDefined

initial: KpiDefined | None = None
_GRID = Decimal("0.001")
_MEANT = {
    "metric": "the name of a quality metric such as 'auc'",
    "formula": "sums and products of quality metrics such as '300 * false_negatives + 60 * false_positives'",
}


@dataclass(frozen=True, slots=True)
class DefineKpi:
    kpi: KpiDefined


def decide(state: KpiDefined | None, command: DefineKpi) -> Sequence[Payload]:
    """KpiDefined once. Raises Refused: bad name, a formula that cannot be computed, registered otherwise."""
    check_name("kpi", command.kpi.kpi)
    check_formula(command.kpi.formula)
    return register_once(state, command.kpi, "kpi", command.kpi.kpi)


def evolve(state: KpiDefined | None, event: Event) -> KpiDefined | None:
    return event.data if isinstance(event.data, KpiDefined) else state


def check_formula(formula: Formula) -> None:
    """Raises Refused 422 `bad-formula` with the reason."""
    if reason := not_plain(formula.model_dump(), "formula"):
        _bad(f"{reason}.")
    for kind, named, value in (("metric", "metric", formula.metric), ("formula", "expression", formula.expression)):
        if formula.kind == kind and not value:
            _bad(f"a formula of kind '{kind}' needs '{named}', {_MEANT[kind]}.")
        if formula.kind != kind and value is not None:
            _bad(f"'{named}' belongs to formulas of kind '{kind}', not '{formula.kind}'.")
    if formula.expression is not None:
        try:
            names_in(formula.expression)
        except NotAnExpression as error:
            _bad(f"'expression' {error}.")
    _check_threshold(formula)


def _check_threshold(formula: Formula) -> None:
    if formula.threshold is None:
        if formula.kind == "cost":
            _bad("a formula of kind 'cost' needs 'threshold', the score from which on a case counts as positive.")
    elif not 0 <= formula.threshold <= 1:
        _bad(f"the threshold {formula.threshold} is no score: it lies between 0 and 1.")
    elif Decimal(str(formula.threshold)) % _GRID:
        _bad(
            f"the threshold {formula.threshold} is no multiple of 0.001. Costs are summed exactly, over cells of the "
            "score that are 0.001 wide, so a threshold has to lie between two cells."
        )


def _bad(detail: str) -> None:
    raise Refused("bad-formula", f"The formula cannot be computed: {detail}", status=422)
