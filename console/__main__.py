"""`python -m console`: the console by itself. `MUNIMENT_CONSOLE_SERVICES`: where the services are; host,
port and keys as every process of Muniment takes them."""

import asyncio
import sys

from console.app import routes
from console.speaking import Speaker
from muniment.routes import urls_of
from shared.runtime.app import create_app
from shared.runtime.identity import Identity
from shared.runtime.observability import configure_logs
from shared.runtime.serving import CannotServe, serve
from shared.runtime.settings import BadSetting, Settings

DEFAULT_PORT = 8090


def main() -> None:
    """Serve until SIGTERM or SIGINT; exits 1 where that cannot be, and says why."""
    try:
        settings = Settings.read()
        if "port" not in settings.model_fields_set:
            settings = settings.model_copy(update={"port": DEFAULT_PORT})
        configure_logs(settings)
        code = asyncio.run(run(settings, urls_of(settings.console_services)))
    except (BadSetting, CannotServe) as error:
        print(f"python -m console: {error}", file=sys.stderr)
        code = 1
    sys.exit(code)


async def run(settings: Settings, urls: str | dict[str, str]) -> int:
    """The console on its own port. Raises CannotServe."""
    app = create_app("Muniment console", [], settings)
    speaker = Speaker.to(urls)
    local = None if settings.api_keys else Identity(settings)
    app.router.routes.extend(routes(speaker, local))
    try:
        return await serve(app, [], settings)
    finally:
        await speaker.http.aclose()


if __name__ == "__main__":
    main()
