"""Reading and writing the registry's streams as MLflow's API needs it: what was written is there for the next call."""

from collections.abc import Awaitable, Callable

from fastapi.responses import JSONResponse

from services.registry.api.mlflow.entities import Json
from services.registry.api.mlflow.errors import invalid, missing
from services.registry.domain import models
from services.registry.domain.model_state import ModelState, VersionState, version_of
from services.registry.policies import read_ahead
from shared.events.envelope import Event
from shared.log.store import UnitOfWork
from shared.runtime.commands import Context
from shared.runtime.http import Call, until_seen
from shared.runtime.service import Service

Making = Callable[[UnitOfWork, ModelState], Awaitable[models.Command]]
Telling = Callable[[ModelState], Json]


class Record:
    """The registry's models by name. Single things are read from their streams, searches from the views, which are
    waited for until they hold what this process wrote last."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._newest: str | None = None

    async def model(self, name: str) -> ModelState:
        """Raises MlflowError RESOURCE_DOES_NOT_EXIST."""
        async with self.service.store.begin() as unit:
            return await self.model_in(unit, name)

    async def model_in(self, unit: UnitOfWork, name: str) -> ModelState:
        check_model(name)
        _, state = await self.service.commands.state_in(unit, models, f"model/{name}")
        if state.registered is None or state.retired is not None:
            raise missing(f"Registered Model with name={name} not found")
        return state

    async def write(
        self,
        call: Call,
        name: str,
        making: Making,
        telling: Telling,
        new: bool = False,
        context: Context | None = None,
    ) -> JSONResponse:
        """Decide on what `making` asks for, and answer what `telling` makes of the model then. `new`: it need not be
        registered yet. Raises MlflowError, Problem, Refused."""
        context = context or call.context()
        stated: list[Event] = []

        async def work(unit: UnitOfWork) -> tuple[int, Json]:
            await read_ahead(self.service, unit, name)
            if new:
                check_model(name)
                _, state = await self.service.commands.state_in(unit, models, f"model/{name}")
            else:
                state = await self.model_in(unit, name)
            command = await making(unit, state)
            stated[:] = await self.service.commands.handle_in(unit, models, f"model/{name}", command, context)
            _, after = await self.service.commands.state_in(unit, models, f"model/{name}")
            return 200, telling(after)

        response = await call.in_unit(work)
        if stated:
            self._newest = stated[-1].id
        return response

    async def seen(self) -> None:
        """Wait until the views hold what was written through here. Raises Problem 503 `view-behind`."""
        if (newest := self._newest) is not None:
            await until_seen(self.service, newest)
            if self._newest == newest:
                self._newest = None


def check_model(name: str) -> None:
    """Raises MlflowError INVALID_PARAMETER_VALUE on what MLflow refuses."""
    if not name.strip():
        raise invalid("Registered model name cannot be empty.")
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")


def version_in(state: ModelState, number: int) -> VersionState:
    """Raises MlflowError RESOURCE_DOES_NOT_EXIST, also of a version that was retired."""
    version = version_of(state, number) if number in state.versions else None
    if version is None or version.retired is not None:
        name = state.registered.model if state.registered else "?"
        raise missing(f"Model Version (name={name}, version={number}) not found")
    return version


def stage_of(text: str) -> str:
    """Raises MlflowError INVALID_PARAMETER_VALUE."""
    found = {stage.lower(): stage for stage in ("None", "Staging", "Production", "Archived")}.get(text.lower())
    if found is None:
        raise invalid(f"Invalid Model Version stage: {text}. Value must be one of None, Staging, Production, Archived.")
    return found
