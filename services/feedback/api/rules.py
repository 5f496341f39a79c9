"""Business rules: what no prediction may say, in the experts' own words, and how often one did."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import Field

from services.feedback.api.bodies import Body, ConditionBody, Name, Text
from services.feedback.api.roles import RULERS
from services.feedback.domain import rules
from services.feedback.domain.conditions import MAX_CONDITIONS
from services.feedback.domain.rates import wilson
from services.feedback.domain.rules import MAX_ROWS, Adopt, Retire
from shared.events.feedback import Decision, RuleAdopted, Severity
from shared.log.store import UnitOfWork
from shared.log.tables import Query, Row, Where, equal
from shared.runtime.http import Call, page, reading, stated, writing
from shared.runtime.identity import usable_actor
from shared.runtime.problems import Problem
from shared.runtime.service import Service
from shared.runtime.times import Instant

Limit = Annotated[int, Field(ge=1)]
PATH = "/v1/rules"
MOST = 100_000
_RULE = "/{rule}"


class RowBody(Body):
    """Where all of `when` hold, the rule is violated: as a flag of this category and severity."""

    when: Annotated[list[ConditionBody], Field(min_length=1, max_length=MAX_CONDITIONS)]
    category: Name
    severity: Severity = "high"
    comment: Text = ""


class RuleBody(Body):
    """`statement`: the rule in plain words; `table`: its decision table, of which the first row that applies counts."""

    deployment: Name
    statement: Annotated[str, Field(min_length=1, max_length=10_000)]
    table: Annotated[list[RowBody], Field(min_length=1, max_length=MAX_ROWS)]
    at: Instant | None = None


class RetireBody(Body):
    reason: Annotated[str, Field(min_length=1, max_length=10_000)]
    at: Instant | None = None


def add(routes: APIRouter, service: Service) -> None:
    """Mount the endpoints."""
    ruling, seeing = Depends(writing(service, *RULERS)), Depends(reading(service))

    @routes.put(PATH + _RULE, status_code=201)
    async def adopt(rule: str, body: RuleBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Hold every prediction of a deployment that is logged from now on to a rule; a change is its next version.
        Each violation is a flag raised by the rule. 409 `too-many-rules` beyond MUNIMENT_MAX_RULES."""
        context = call.context(body.at)
        if not usable_actor(f"rule:{rule}"):  # in whose name it flags
            raise Problem(422, "bad-rule", "A rule's name is 1 to 195 printable characters.")
        table = tuple(
            Decision(
                when=tuple(one.said() for one in row.when),
                category=row.category,
                severity=row.severity,
                comment=row.comment,
            )
            for row in body.table
        )
        given = RuleAdopted(rule=rule, version=0, deployment=body.deployment, statement=body.statement, table=table)

        async def work(unit: UnitOfWork) -> tuple[int, dict[str, Any]]:
            await unit.lock([f"feedback.rules.{body.deployment}"])
            where = (*equal(deployment=body.deployment, state="in_force"), Where("rule", "!=", rule))
            most = service.settings.max_rules
            if len(await unit.find(Query("rules", where, limit=most, columns=("rule",)))) >= most:
                detail = f"'{body.deployment}' is held to {most} rules, the most at once."
                raise Problem(409, "too-many-rules", detail, "Retire one, or put rows into one table.")
            known = await unit.get("rules", rule)
            if known is not None and known["deployment"] != body.deployment:
                detail = f"Rule '{rule}' is about deployment '{known['deployment']}'; take another name."
                raise Problem(409, "other-deployment", detail)
            return await stated(service, unit, rules, f"rules/{body.deployment}", Adopt(given), context)

        return await call.in_unit(work)

    @routes.post(PATH + _RULE + "/retire")
    async def retire(rule: str, body: RetireBody, call: Annotated[Call, ruling]) -> JSONResponse:
        """Hold predictions to a rule no longer; its flags stay."""
        context, subject = call.context(body.at), f"rules/{(await _known(service, rule))['deployment']}"
        return await call.write(rules, subject, Retire(rule, body.reason), context=context, status=200)

    @routes.get(PATH)
    async def list_rules(
        call: Annotated[Call, seeing], deployment: str | None = None, limit: Limit = 100, cursor: str | None = None
    ) -> dict[str, Any]:
        """Rules by name, retired ones too."""
        where = equal(deployment=deployment) if deployment is not None else ()
        return await page(service, Query("rules", where, (), limit), cursor)

    @routes.get(PATH + _RULE)
    async def one_rule(rule: str, call: Annotated[Call, seeing]) -> dict[str, Any]:
        """A rule, with its rate over time: of each day (UTC) and version how many predictions were checked and how many
        violated it, with Wilson's interval at 95 %."""
        row = await _known(service, rule)
        rates = await service.store.find(Query("rule_rates", equal(rule=rule), ("day",), MOST))
        return row | {"days": _days(rates)}


async def _known(service: Service, rule: str) -> Row:
    row = await service.store.get("rules", rule)
    if row is None:
        raise Problem(404, "unknown-rule", f"There is no rule '{rule}'.", f"List them with GET {PATH}.")
    return row


def _days(rates: list[Row]) -> list[dict[str, Any]]:
    counts: dict[tuple[str, int], list[int]] = {}
    for row in rates:
        count = counts.setdefault((row["day"], row["version"]), [0, 0])
        count[0] += row["checked"]
        count[1] += row["violated"]
    return [
        {
            "day": day,
            "version": version,
            "checked": checked,
            "violated": wrong,
            "rate": wrong / checked,
            "interval": list(wilson(wrong, checked)),
        }
        for (day, version), (checked, wrong) in sorted(counts.items())
        if checked
    ]
