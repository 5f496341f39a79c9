"""Whatever answers for a version, behind one door."""

from contextlib import suppress

from services.deployer.serving.batching import Row
from services.deployer.serving.frames import Columns, Frame
from services.deployer.serving.onnx import OnnxModels
from services.deployer.serving.refusals import Unservable
from services.deployer.serving.remote import Limits, RemoteModels
from services.deployer.serving.routes import Route, Served
from shared.runtime.problems import Problem
from shared.runtime.settings import Settings

PLATFORMS = {"onnx": "onnxruntime_onnx", "v2": "v2", "external": "external"}


class Runtimes:
    """The in-process models and the remote ones of this process."""

    def __init__(self, settings: Settings) -> None:
        self.onnx = OnnxModels(settings)
        limits = Limits(
            settings.remote_seconds,
            settings.remote_connect_seconds,
            settings.remote_retries,
            settings.remote_failures,
            settings.remote_open_seconds,
            settings.max_rows_per_batch * settings.max_features,
        )
        self.remote = RemoteModels(limits)

    async def run(self, route: Route, version: int, frame: Frame) -> Columns:
        """What a version answers to these rows. Raises Problem: 503 `model-not-ready` with the reason, and as the
        runtimes do."""
        served = self.served(route, version)
        runtime = route.state.runtime
        try:
            if runtime.kind == "v2":
                model, signature = served.target.model, served.signature
                champion = version == route.state.traffic.champion
                return await self.remote.run(runtime.url or "", model, version, frame, signature, champion)
            session = await self.onnx.get(served.key, served.artifact, served.signature)
            return await session.run(frame)
        except Unservable as error:
            raise not_ready(route, version, str(error)) from error

    async def row(self, route: Route, version: int, values: Row) -> Columns:
        """The same for one row of a version that runs in process."""
        served = self.served(route, version)
        try:
            model = await self.onnx.get(served.key, served.artifact, served.signature)
            return await model.run(values)
        except Unservable as error:
            raise not_ready(route, version, str(error)) from error

    async def warm(self, route: Route, version: int) -> None:
        """Load a version that runs in process. Why it cannot be loaded is told when it is asked."""
        served = route.served.get(version)
        if served is not None and route.state.runtime.kind == "onnx":
            with suppress(Unservable):
                await self.onnx.get(served.key, served.artifact, served.signature)

    async def problem(self, route: Route, version: int) -> str | None:
        """Why a version cannot be asked now, if so; loads it."""
        served, runtime = route.served.get(version), route.state.runtime
        if route.state.retired:
            return "the deployment is retired"
        if runtime.kind == "external":
            return "it is served elsewhere"
        if served is None:
            return "its registration has not arrived here yet"
        if runtime.kind == "v2":
            champion = version == route.state.traffic.champion
            return await self.remote.ready(runtime.url or "", served.target.model, version, served.signature, champion)
        try:
            await self.onnx.get(served.key, served.artifact, served.signature)
        except Unservable as error:
            return str(error)
        return None

    def served(self, route: Route, version: int) -> Served:
        """A listed version. Raises Problem 503."""
        served = route.served.get(version)
        if served is None:
            raise not_ready(route, version, "its registration has not arrived here yet")
        return served

    async def close(self) -> None:
        await self.remote.close()


def not_ready(route: Route, version: int, reason: str) -> Problem:
    """503: this version answers nothing until the reason is gone."""
    detail = f"Version {version} of '{route.name}' is not ready: {reason}."
    return Problem(503, "model-not-ready", detail, "Put the artifact right, or roll back.", version=version)
