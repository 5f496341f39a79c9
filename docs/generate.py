"""Writes the generated reference: `python -m docs.generate`. A test fails when a file is not what this would write."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from services.audit.service import DEFINITION as AUDIT
from services.deployer.service import DEFINITION as DEPLOYER
from services.feedback.service import DEFINITION as FEEDBACK
from services.monitor.service import DEFINITION as MONITOR
from services.registry.service import DEFINITION as REGISTRY
from shared.events.asyncapi import document
from shared.log.memory import MemoryLog, MemoryStore
from shared.runtime.app import create_app
from shared.runtime.commands import CommandLoop
from shared.runtime.live_memory import MemoryLive
from shared.runtime.running import Running
from shared.runtime.service import Definition, Service
from shared.runtime.settings import Settings

REFERENCE = Path(__file__).parent / "reference"
DEFINITIONS = (REGISTRY, DEPLOYER, MONITOR, FEEDBACK, AUDIT)


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    found = {REFERENCE / "asyncapi.yaml": _text(document())}
    return found | {REFERENCE / f"openapi-{one.name}.yaml": _text(openapi(one)) for one in DEFINITIONS}


def openapi(definition: Definition) -> dict[str, Any]:
    """The OpenAPI document of one service, with the settings as they are by default."""
    with TemporaryDirectory() as folder:  # services make their keys there
        return _openapi(definition, Settings.model_construct(data_dir=Path(folder)))


def _openapi(definition: Definition, settings: Settings) -> dict[str, Any]:
    store = MemoryStore(definition.name, definition.tables)
    commands = CommandLoop(definition.name, store)
    service = Service(definition.name, settings, store, MemoryLog(), MemoryLive(), commands)
    return create_app(f"Muniment {definition.name}", [Running(definition, service)], settings).openapi()


def main() -> None:
    for path, text in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def _text(said: dict[str, Any]) -> str:
    return yaml.dump(said, Dumper=_Plain, sort_keys=False, width=120, allow_unicode=True)


class _Plain(yaml.SafeDumper):
    """Without anchors: what is said twice stands twice."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    main()
