"""Erasure: the key of a person is destroyed, so that what the log holds encrypted of them can be read by nobody."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from services.monitor.domain import subjects
from services.monitor.domain.subjects import Forget, subject_of
from shared.keyring.keyring import MAX_SUBJECT
from shared.log.store import UnitOfWork
from shared.runtime.http import Answered, Call, stated, writing
from shared.runtime.identity import Role
from shared.runtime.problems import Problem
from shared.runtime.service import Service

FORGETTERS = (Role.AUDITOR, Role.RISK_MANAGER)

_Reason = Annotated[str, Field(min_length=1, max_length=500, description="Why; must not name the person.")]


class ForgetBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: _Reason


class ForgetSubjectBody(ForgetBody):
    subject: str = Field(min_length=1, max_length=MAX_SUBJECT)


def add(router: APIRouter, service: Service) -> None:
    """POST /subjects/{subject}:forget and /subjects:forget."""
    write = writing(service, *FORGETTERS)

    @router.post("/subjects:forget", status_code=201)
    async def forget_subject(body: ForgetSubjectBody, call: Call = Depends(write)) -> JSONResponse:
        """As `/v1/subjects/{subject}:forget`, with the subject in the body: addresses end up in the logs of proxies."""
        return await _forget(service, call, body.subject, body.reason)

    @router.post("/subjects/{subject:path}:forget", status_code=201)
    async def forget(subject: str, body: ForgetBody, call: Call = Depends(write)) -> JSONResponse:
        """Destroy the key of a person (the `entity`, or the input that the signature calls the subject): what the log
        holds encrypted of them is then unreadable for ever, while every proof stays valid.

        201 with the event `SubjectForgotten` as the receipt, and the token that stood for the person in the log. 200
        without events where no key is held: nothing of them can be read, and nothing tells whether it ever could.
        """
        return await _forget(service, call, subject, body.reason)


async def _forget(service: Service, call: Call, subject: str, reason: str) -> JSONResponse:
    if subject.casefold() in reason.casefold():
        detail = "The reason names the person, and events are for ever."
        raise Problem(422, "reason-names-subject", detail, "Say why without saying who.")
    if call.idempotency_key is not None:
        call.digest = await service.keyring.blind(call.digest)  # the plain digest of a name can be guessed at
    token = await service.keyring.token(subject)

    async def work(unit: UnitOfWork) -> Answered:
        if token is None:
            nothing: dict[str, Any] = {"id": None, "event_id": None, "sequence": 0, "type": None, "events": []}
            return 200, nothing | {"subject": None}
        told = {"subject": token}
        status, answer = await stated(service, unit, subjects, subject_of(token), Forget(token, reason), call.context())
        return status, answer | told

    answer = await call.in_unit(work)
    if token is not None:
        # On record first: should this process die in between, the worker destroys the key when it reads the event.
        await service.keyring.destroy(token)
    return answer
