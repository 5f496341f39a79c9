"""Services with a model that can be explained and its predictions, and a real browser beside it."""

import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from muniment.client import Client
from muniment.errors import ProblemError
from services.deployer.service import DEFINITION as DEPLOYER
from services.feedback.service import DEFINITION as FEEDBACK
from services.monitor.service import DEFINITION as MONITOR
from services.registry.service import DEFINITION as REGISTRY
from tests.component.explaining_given import REFERENCE, SIGNATURE, artifact
from tests.component.served import served

SECONDS = 120.0
DEPLOYMENT = "late-flights"
expect.set_options(timeout=SECONDS * 1_000)


@dataclass(frozen=True, slots=True)
class Given:
    """The system's address, and the ids of the predictions of 3 July, whose answers rise from the first to the last."""

    url: str
    ids: list[str]

    def client(self, actor: str) -> Client:
        return Client(self.url, actor=actor)


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Given]:
    folder = tmp_path_factory.mktemp("console")
    others = (DEPLOYER, MONITOR, FEEDBACK)
    with (
        served(
            REGISTRY, folder / "data", *others, console=True, explanation_warm_seconds=0.1, bulk_seconds=0.05
        ) as url,
        Client(url, actor="dan", patience=SECONDS) as client,
    ):
        yield Given(url, _predictions(client, folder))


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = shutil.which("chromium")
    if found is None:
        line = "NO CHROMIUM, THE CONSOLE'S PAGES ARE NOT TESTED: run devstack/install.sh"
        if os.environ.get("CI") == "true":
            pytest.fail(line, pytrace=False)
        warnings.warn(line, stacklevel=2)
        pytest.skip(line)
    with sync_playwright() as playwright:
        one = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield one
        one.close()


@pytest.fixture
def visitor(browser: Browser) -> Iterator[Callable[[], Page]]:
    """Makes pages of somebody new; whatever a browser complains of (its policy, a missing file) fails the test."""
    complaints: list[str] = []
    contexts: list[Any] = []

    def come() -> Page:
        contexts.append(browser.new_context())
        page: Page = contexts[-1].new_page()
        page.set_default_timeout(SECONDS * 1_000)
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        return page

    yield come
    for context in contexts:
        context.close()
    told = [one for one in complaints if "the server responded with a status of 4" not in one]
    assert told == []


def _predictions(client: Client, folder: Path) -> list[str]:
    client.post("/v1/goals", {"name": "warn", "question": "Will it arrive late?"})
    client.post("/v1/models", {"name": "late", "goal": "warn"})
    version = {
        "artifact": artifact(folder).model_dump(exclude_defaults=True),
        "signature": SIGNATURE.model_dump(mode="json", exclude_defaults=True),
        "reference": {name: list(values) for name, values in REFERENCE.items()},
    }
    client.post("/v1/models/late/versions", version)
    deployed = {"name": DEPLOYMENT, "model": "late", "version": 1, "environment": "development"}
    _until(lambda: client.post("/v1/deployments", deployed))
    delays = [float(delay) for delay in range(0, 60, 5)]
    features = {"departure_delay": delays, "hour": [12] * len(delays), "carrier": ["UA"] * len(delays)}
    at = [f"2013-07-03T{hour:02}:00:00Z" for hour in range(len(delays))]
    ids: list[str] = _until(lambda: client.infer(DEPLOYMENT, features, at=at, segment=["JFK"] * len(at))).ids
    client.get(f"/v1/predictions/{ids[-1]}", after=ids[-1])
    _until(lambda: client.get(f"/v1/predictions/{ids[-1]}/explanation"))
    return ids


def _until(ask: Callable[[], Any]) -> Any:
    """What another service knows only once it has seen it."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            return ask()
        except ProblemError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
