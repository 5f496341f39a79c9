"""Experiments: registered before their data, judged at any time, ended once."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.monitor.domain import experiments
from services.monitor.domain.experiment_judging import planned_cases, results, sample_ratio
from services.monitor.domain.experiments import Start, Stop, subject_of
from services.monitor.domain.plan import BINARY_FIGURES
from services.monitor.experiment_showing import shown
from services.monitor.experimenting import cases_before, closed_until, measured, shares_of, window_from
from services.monitor.facts import Facts, kpis_of
from services.monitor.reading import Reading
from shared.events.monitor import ExperimentArm, ExperimentStarted, Guardrail
from shared.log.tables import Query as Rows
from shared.log.tables import Row, equal
from shared.runtime.http import Call, reading, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem, not_found
from shared.runtime.responses import Answer
from shared.runtime.service import Service
from shared.runtime.times import Instant

MAX_GUARDRAILS = 20
MAX_LISTED = 1_000
_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
_Text = Annotated[str, StringConstraints(max_length=2_000)]
_Number = Annotated[float, Field(allow_inf_nan=False)]
_Version = Annotated[int, Field(ge=1, le=2**31 - 1)]


class GuardrailBody(BaseModel):
    """`kpi`: a case may cost at most `limit` more than the control's by this cost KPI; or `quality`: a figure, such as
    `recall`, that must stay at or above `limit` (`direction` higher) or at or below it (lower)."""

    model_config = ConfigDict(extra="forbid")

    kpi: Annotated[str, Field(max_length=200)] | None = None
    quality: Annotated[str, Field(max_length=200)] | None = None
    limit: _Number
    direction: Literal["lower", "higher"] = "higher"


class ExperimentBody(BaseModel):
    """Body of POST /v1/deployments/{name}/experiments. `treatments`: challengers, default all with a share; `kpi`: a
    cost KPI of the model's goal, default the only one; `planned_cases`: default from `power` and the control's past."""

    model_config = ConfigDict(extra="forbid")

    name: _Name
    kpi: Annotated[str, Field(max_length=200)] | None = None
    treatments: Annotated[list[_Version], Field(min_length=1, max_length=20)] | None = None
    minimum_effect: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    level: Annotated[float, Field(ge=1e-6, le=0.5)] = 0.05
    power: Annotated[float, Field(ge=0.5, le=0.999)] = 0.8
    planned_cases: Annotated[int, Field(ge=1, le=10**12)] | None = None
    attribute: Annotated[str, Field(min_length=1, max_length=200)] = "segment"
    guardrails: Annotated[list[GuardrailBody], Field(max_length=MAX_GUARDRAILS)] = []
    hypothesis: _Text = ""
    at: Instant | None = None


class StopBody(BaseModel):
    """Body of POST …/stop."""

    model_config = ConfigDict(extra="forbid")

    reason: _Text = ""
    at: Instant | None = None


def add(router: APIRouter, service: Service) -> None:
    """POST /deployments/{name}/experiments, GET …/experiments/{experiment}, POST …/stop."""
    figures = Reading.of(service, Facts())
    read = reading(service)
    write = writing(service, Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.DEVOPS, Role.SME)
    stop = writing(service, Role.DATA_SCIENTIST, Role.SOFTWARE_ENGINEER, Role.DEVOPS, Role.SME, Role.RISK_MANAGER)

    @router.post("/deployments/{name}/experiments", status_code=201)
    async def post_experiment(name: str, body: ExperimentBody, call: Call = Depends(write)) -> JSONResponse:
        """Register an experiment before its data: champion against challengers on what a case costs. Windows that
        begin at `at` (default now) or later count. 409 where one runs already or the arms have no share."""
        context = call.context(body.at)
        row = await figures.deployment(name)
        counts_from = window_from(context.at, service.settings.window_seconds)
        plan = await _plan(service, row, body, counts_from)
        if plan.planned_cases is None:
            before = await cases_before(figures, plan, service.settings.experiment_history_days)
            plan = plan.model_copy(update={"planned_cases": planned_cases(plan, before)})
        told = {"experiment": plan.experiment, "counts_from": plan.counts_from, "planned_cases": plan.planned_cases}
        return await call.write(experiments, subject_of(name), Start(plan), context=context, answer=lambda events: told)

    @router.get("/deployments/{name}/experiments/{experiment}")
    async def get_experiment(name: str, experiment: str, call: Call = Depends(read)) -> Answer:
        """An experiment as registered, its figures as of now (valid whenever they are looked at), by segment and in
        money, and how it ended, if it did."""
        row = await _experiment(service, figures, name, experiment)
        plan = ExperimentStarted.model_validate(row["plan"], strict=False)
        where = equal(deployment=name, experiment=experiment)
        breaches = await service.store.find(Rows("experiment_breaches", where, limit=MAX_LISTED))
        closed = await measured(figures, plan, await closed_until(figures, plan))
        return Answer(shown(row, plan, await measured(figures, plan, segments=True), closed, breaches))

    @router.post("/deployments/{name}/experiments/{experiment}/stop")
    async def stop_experiment(
        name: str, experiment: str, call: Annotated[Call, Depends(stop)], body: StopBody | None = None
    ) -> JSONResponse:
        """End an experiment by hand; what it had found stays on record."""
        body = body or StopBody()
        row = await _experiment(service, figures, name, experiment)
        plan = ExperimentStarted.model_validate(row["plan"], strict=False)
        arms = (await measured(figures, plan, await closed_until(figures, plan))).arms
        command = Stop(experiment, body.reason, results(plan, arms), sample_ratio(plan, arms))
        return await call.write(experiments, subject_of(name), command, context=call.context(body.at), status=200)


async def _experiment(service: Service, figures: Reading, name: str, experiment: str) -> Row:
    await figures.deployment(name)
    row = await service.store.get("experiments", name, experiment)
    if row is None:
        query = Rows("experiments", equal(deployment=name), limit=MAX_LISTED, columns=("experiment",))
        not_found("experiment", experiment, [one["experiment"] for one in await service.store.find(query)])
    return row


async def _plan(service: Service, row: Row, body: ExperimentBody, counts_from: Any) -> ExperimentStarted:
    kpis = {one.name: one for one in await kpis_of(service.store, row["model"]) if one.formula.kind == "cost"}
    kpi = kpis.get(body.kpi or (next(iter(kpis)) if len(kpis) == 1 else ""))
    if kpi is None:
        detail = f"'{body.kpi}' is no cost KPI of the model's goal." if body.kpi else "Name one cost KPI of the goal."
        raise Problem(422, "unknown-kpi", detail, f"There: {', '.join(kpis) or 'none'}.", nearby=sorted(kpis))
    traffic = row["traffic"]
    sharing = [one["version"] for one in traffic["challengers"] if one["percent"] > 0]
    treatments = body.treatments or sharing
    strange = [version for version in treatments if version not in sharing]
    if row["retired"] or strange or not treatments:
        what = (
            f"Version {strange[0]} is no challenger with a share" if strange else "There is no challenger with a share"
        )
        raise Problem(
            409, "no-challenger", f"{what} on '{row['deployment']}'.", "Set the traffic first.", nearby=sharing
        )
    shares = shares_of(traffic, [traffic["champion"], *treatments])
    arms = [ExperimentArm(version=version, share=share) for version, share in shares.items()]
    return ExperimentStarted(
        experiment=body.name,
        deployment=row["deployment"],
        model=row["model"],
        kpi=kpi.name,
        unit=kpi.unit,
        direction=kpi.direction,
        formula=kpi.formula,
        control=arms[0],
        treatments=tuple(arms[1:]),
        minimum_effect=body.minimum_effect,
        level=body.level,
        power=body.power,
        planned_cases=body.planned_cases,
        counts_from=counts_from,
        attribute=body.attribute,
        guardrails=tuple(_guardrail(one, kpis) for one in body.guardrails),
        hypothesis=body.hypothesis,
    )


def _guardrail(body: GuardrailBody, kpis: dict[str, Any]) -> Guardrail:
    if (body.kpi is None) == (body.quality is None):
        raise Problem(422, "bad-guardrail", "A guardrail names either a kpi or a quality figure.")
    if body.kpi is not None:
        kpi = kpis.get(body.kpi)
        if kpi is None or body.limit < 0:
            detail = f"Guardrail '{body.kpi}' needs a cost KPI of the goal and a limit of 0 or more."
            raise Problem(422, "bad-guardrail", detail, nearby=sorted(kpis))
        return Guardrail(
            name=kpi.name, kind="kpi", limit=body.limit, direction=kpi.direction, unit=kpi.unit, formula=kpi.formula
        )
    if body.quality not in BINARY_FIGURES:
        detail = f"'{body.quality}' is no figure of a yes-or-no question."
        raise Problem(422, "bad-guardrail", detail, nearby=sorted(BINARY_FIGURES))
    return Guardrail(name=body.quality or "", kind="quality", limit=body.limit, direction=body.direction)
